#pragma once

/// Lists with filters, sorting and keyset pages (api.md section 4).

#include <string>
#include <vector>

#include "backend/api/v2beta1/filter.pb.h"
#include "base/status.h"
#include "sql/database.h"
#include "store/rows.h"

namespace caudal::store {

/// What a list call asks for, as it came over the API.
struct ListRequest {
  std::string page_token;
  int page_size = 0;    ///< 0: 20; above 200: 200
  std::string sort_by;  ///< "field [asc|desc]"
  std::string filter;   ///< JSON of v2beta1.Filter, perhaps percent-encoded once more
  // Scope, not part of the token.
  std::string name_space;
  std::string experiment_id;  ///< runs only
  int64_t pipeline_key = 0;   ///< versions only
};

template <typename T>
struct Page {
  std::vector<T> rows;
  std::string next_page_token;  ///< empty on the last page
  int total_size = 0;           ///< exact to 10,000, then 10,000
};

/// Tokens are signed with `secret`. Errors: kInvalidArgument for a bad size, sort key, filter, or a
/// token that we did not make or that contradicts the rest.
base::Result<Page<Experiment>> ListExperiments(sql::Database& database, const ListRequest& request,
                                               const std::string& secret);
base::Result<Page<Pipeline>> ListPipelines(sql::Database& database, const ListRequest& request,
                                           const std::string& secret);
base::Result<Page<PipelineVersion>> ListVersions(sql::Database& database,
                                                 const ListRequest& request,
                                                 const std::string& secret);
base::Result<Page<Run>> ListRuns(sql::Database& database, const ListRequest& request,
                                 const std::string& secret);

}  // namespace caudal::store
