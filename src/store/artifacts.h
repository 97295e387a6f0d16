#pragma once

/// Artifacts that importers ask for. Functions run within a unit or a reader of `Store`.

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "caudal/v1/attempt.pb.h"
#include "sql/database.h"

namespace caudal::store {

/// The newest artifact of the pipeline with the type and URI of `asked` whose metadata holds
/// everything that `asked` has (and perhaps more), or nothing. Errors: kDataLoss.
base::Result<std::optional<v1::Artifact>> FindImportable(sql::Database& database,
                                                         const std::string& name_space,
                                                         const std::string& pipeline_name,
                                                         const v1::Artifact& asked);

/// Bytes under a URI of the artifact store.
struct StoredPlace {
  std::string blob;  ///< below `objects/`
  bool is_directory = false;
  int64_t size = 0;  ///< of the file, or of all files of the directory
};

/// What this system itself has stored under `uri` ("minio://bucket/key", also with s3 or gs): one
/// file, or everything below the key as far as one attempt wrote it as one directory. Nothing for
/// other schemes, for keys nobody wrote, and for folders that several attempts wrote to.
base::Result<std::optional<StoredPlace>> FindObject(sql::Database& database,
                                                    const std::string& uri);

}  // namespace caudal::store
