#include "store/list.h"

#include <algorithm>
#include <cstring>

#include "store/internal/columns.h"
#include "store/internal/filter.h"
#include "store/internal/page_token.h"

namespace caudal::store {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;

constexpr int kDefaultPageSize = 20;
constexpr int kLargestPage = 200;
constexpr int kCountedExactly = 10'000;

// What differs between the lists.
template <typename T>
struct Resource {
  const char* table;
  const char* columns_sql;
  const ColumnMap* columns;
  const char* tags_column;
  T (*read)(const sql::Row&);
};

const ColumnMap& ExperimentKeys() {
  static const ColumnMap kKeys = {
      {"id", {"id"}},
      {"experiment_id", {"id"}},
      {"name", {"name"}},
      {"display_name", {"name"}},
      {"created_at", {"created_at", ColumnKind::kTime}},
      {"last_run_created_at", {"last_run_created_at", ColumnKind::kTime}},
      {"description", {"description"}},
      {"namespace", {"namespace"}},
      {"storage_state", {"storage_state"}},
  };
  return kKeys;
}

const ColumnMap& PipelineKeys() {
  static const ColumnMap kKeys = {
      {"id", {"id"}},
      {"pipeline_id", {"id"}},
      {"name", {"name"}},
      {"display_name", {"display_name"}},
      {"created_at", {"created_at", ColumnKind::kTime}},
      {"description", {"description"}},
      {"namespace", {"namespace"}},
  };
  return kKeys;
}

const ColumnMap& VersionKeys() {
  static const ColumnMap kKeys = {
      {"id", {"id"}},
      {"pipeline_version_id", {"id"}},
      {"name", {"name"}},
      {"display_name", {"display_name"}},
      {"created_at", {"created_at", ColumnKind::kTime}},
      {"status", {"'READY'"}},
      {"description", {"description"}},
      {"pipeline_spec", {"spec"}},
  };
  return kKeys;
}

const ColumnMap& RunKeys() {
  // `status` is the v1 word for the state.
  static const char kStatus[] =
      "CASE state WHEN 'RUNNING' THEN 'Running' WHEN 'SUCCEEDED' THEN 'Succeeded'"
      " WHEN 'FAILED' THEN 'Failed' WHEN 'CANCELING' THEN 'Terminating'"
      " WHEN 'SKIPPED' THEN 'Skipped' ELSE 'Pending' END";
  static const ColumnMap kKeys = {
      {"id", {"id"}},
      {"run_id", {"id"}},
      {"name", {"display_name"}},
      {"display_name", {"display_name"}},
      {"created_at", {"created_at", ColumnKind::kTime}},
      {"finished_at", {"finished_at", ColumnKind::kTime}},
      {"scheduled_at", {"scheduled_at", ColumnKind::kTime}},
      {"description", {"description"}},
      {"storage_state", {"storage_state"}},
      {"status", {kStatus}},
      {"state", {"state"}},
      {"state_history", {"state_history"}},
      {"namespace", {"namespace"}},
      {"experiment_id", {"experiment_id"}},
      {"recurring_run_id", {"recurring_run_id"}},
  };
  return kKeys;
}

/// A statement in the making; `?` marks become `$1`, `$2`, … when it is done.
class Query {
 public:
  void Where(const Condition& condition) {
    where_ += (where_.empty() ? " WHERE " : " AND ") + condition.sql;
    values_.insert(values_.end(), condition.values.begin(), condition.values.end());
  }

  std::string Numbered(const std::string& head, const std::string& tail) const {
    std::string sql;
    int number = 0;
    for (const char c : head + where_ + tail) {
      if (c == '?') {
        sql += "$" + std::to_string(++number);
      } else {
        sql += c;
      }
    }
    return sql;
  }

  sql::Params Params() const {
    sql::Params params;
    for (const auto& value : values_) {
      if (const auto* number = std::get_if<int64_t>(&value)) {
        params.emplace_back(*number);
      } else {
        params.emplace_back(std::string_view(std::get<std::string>(value)));
      }
    }
    return params;
  }

 private:
  std::string where_;
  std::vector<std::variant<int64_t, std::string>> values_;
};

// Sort, filter and position of the page: from the token when there is one, else from the request.
struct Position {
  Sort sort;
  std::string filter;
  bool has_start = false;
  PageToken start;
};

Result<Position> FindPosition(const ListRequest& request, const ColumnMap& columns,
                              const std::string& resource, const std::string& secret) {
  Position position;
  CAUDAL_ASSIGN(position.sort, ParseSort(request.sort_by, columns));
  position.filter = request.filter;
  if (request.page_token.empty()) return position;
  CAUDAL_ASSIGN(position.start, DecodeToken(request.page_token, resource, secret));
  position.has_start = true;
  const Sort of_token{position.start.sort_key, position.start.descending};
  const bool same_sort =
      request.sort_by.empty() ||
      (of_token.key == position.sort.key && of_token.descending == position.sort.descending);
  const bool same_filter = request.filter.empty() || request.filter == position.start.filter;
  if (!same_sort || !same_filter) {
    return InvalidArgument(
        "page_token belongs to another sort_by or filter; send it alone or with the "
        "ones of the first page");
  }
  position.sort = of_token;
  position.filter = position.start.filter;
  return position;
}

Result<int> PageSize(int asked) {
  if (asked < 0)
    return InvalidArgument("page_size is " + std::to_string(asked) + ", wants 0 or more");
  if (asked == 0) return kDefaultPageSize;
  return std::min(asked, kLargestPage);
}

Condition StartCondition(const Position& position, const Column& column) {
  const std::string sign = position.sort.descending ? "<=" : ">=";
  Condition condition;
  condition.sql = "(" + column.sql + ", id) " + sign + " (?, ?)";
  if (column.kind == ColumnKind::kTime) {
    condition.values.emplace_back(static_cast<int64_t>(std::stoll(position.start.sort_value)));
  } else {
    condition.values.emplace_back(position.start.sort_value);
  }
  condition.values.emplace_back(position.start.id);
  return condition;
}

template <typename T>
Result<Page<T>> List(sql::Database& database, const ListRequest& request, const std::string& secret,
                     const Resource<T>& resource, const std::vector<Condition>& scope) {
  CAUDAL_ASSIGN(const int page_size, PageSize(request.page_size));
  CAUDAL_ASSIGN(const Position position,
                FindPosition(request, *resource.columns, resource.table, secret));
  CAUDAL_ASSIGN(const auto conditions,
                ParseFilter(position.filter, *resource.columns, resource.tags_column));
  Query query;
  for (const Condition& condition : scope) query.Where(condition);
  for (const Condition& condition : conditions) query.Where(condition);

  Page<T> page;
  const std::string count =
      query.Numbered(std::string("SELECT count(*) FROM (SELECT 1 FROM ") + resource.table,
                     " LIMIT " + std::to_string(kCountedExactly) + ") AS counted");
  CAUDAL_TRY(database.Query(count, query.Params(), [&](const sql::Row& row) {
    page.total_size = static_cast<int>(row.Int(0));
  }));

  const Column& column = resource.columns->find(position.sort.key)->second;
  if (position.has_start) query.Where(StartCondition(position, column));
  const std::string order = position.sort.descending ? " DESC" : "";
  const std::string select = query.Numbered(
      "SELECT " + std::string(resource.columns_sql) + ", " + column.sql + " FROM " + resource.table,
      " ORDER BY " + column.sql + order + ", id" + order + " LIMIT " +
          std::to_string(page_size + 1));
  const int sort_column = static_cast<int>(
      std::count(resource.columns_sql, resource.columns_sql + strlen(resource.columns_sql), ',') +
      1);
  CAUDAL_TRY(database.Query(select, query.Params(), [&](const sql::Row& row) {
    T value = resource.read(row);
    if (static_cast<int>(page.rows.size()) < page_size) {
      page.rows.push_back(std::move(value));
      return;
    }
    page.next_page_token = EncodeToken({resource.table, position.sort.key, position.sort.descending,
                                        position.filter, row.Text(sort_column), value.id},
                                       secret);
  }));
  return page;
}

}  // namespace

Result<Page<Experiment>> ListExperiments(sql::Database& database, const ListRequest& request,
                                         const std::string& secret) {
  const Resource<Experiment> resource{"experiment", kExperimentColumns, &ExperimentKeys(), "",
                                      ReadExperiment};
  return List(database, request, secret, resource, {{"namespace=?", {request.name_space}}});
}

Result<Page<Pipeline>> ListPipelines(sql::Database& database, const ListRequest& request,
                                     const std::string& secret) {
  const Resource<Pipeline> resource{"pipeline", kPipelineColumns, &PipelineKeys(), "tags",
                                    ReadPipeline};
  return List(database, request, secret, resource, {{"namespace=?", {request.name_space}}});
}

Result<Page<PipelineVersion>> ListVersions(sql::Database& database, const ListRequest& request,
                                           const std::string& secret) {
  const Resource<PipelineVersion> resource{"pipeline_version", kVersionColumns, &VersionKeys(),
                                           "tags", ReadVersion};
  return List(database, request, secret, resource, {{"pipeline_key=?", {request.pipeline_key}}});
}

Result<Page<Run>> ListRuns(sql::Database& database, const ListRequest& request,
                           const std::string& secret) {
  const Resource<Run> resource{"run", kRunColumns, &RunKeys(), "", ReadRun};
  std::vector<Condition> scope{{"namespace=?", {request.name_space}}};
  if (!request.experiment_id.empty()) scope.push_back({"experiment_id=?", {request.experiment_id}});
  return List(database, request, secret, resource, scope);
}

}  // namespace caudal::store
