#include "store/artifacts.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "model/store_uri.h"
#include "store/internal/lineage.h"

namespace caudal::store {

using base::Result;
using std::string_view;

namespace {

// Every import that asks for a new artifact adds one of the same URI: only the newest are looked
// at.
constexpr int64_t kMostCandidates = 200;

bool HasAll(const v1::Artifact& known, const v1::Artifact& asked) {
  using google::protobuf::util::MessageDifferencer;
  const auto& fields = known.metadata().fields();
  return std::all_of(
      asked.metadata().fields().begin(), asked.metadata().fields().end(), [&](const auto& field) {
        const auto found = fields.find(field.first);
        return found != fields.end() && MessageDifferencer::Equals(found->second, field.second);
      });
}

/// All rows below a key.
struct Range {
  explicit Range(const model::StoreUri& uri)
      : bucket(uri.bucket), from(uri.key + "/"), to(uri.key + "0") {}

  std::string bucket;
  std::string from;  // a key as "prefix/"
  std::string to;    // the first that no longer starts so
};

// The blob of the whole directory, as the first file in it has it; empty where there is none.
Result<std::string> FindRoot(sql::Database& database, const Range& range) {
  std::string key;
  std::string blob;
  CAUDAL_TRY(database.Query(
      "SELECT key, blob FROM object WHERE bucket=$1 AND key>=$2 AND key<$3 ORDER BY key LIMIT 1",
      {string_view(range.bucket), string_view(range.from), string_view(range.to)},
      [&](const sql::Row& row) {
        key = row.Text(0);
        blob = row.Text(1);
      }));
  if (key.empty()) return std::string();
  const std::string tail = key.substr(range.from.size() - 1);  // with its slash
  if (!blob.ends_with(tail)) return std::string();
  return blob.substr(0, blob.size() - tail.size());
}

Result<std::optional<StoredPlace>> FindDirectory(sql::Database& database,
                                                 const model::StoreUri& uri) {
  const Range range(uri);
  CAUDAL_ASSIGN(const std::string root, FindRoot(database, range));
  if (root.empty()) return std::optional<StoredPlace>();
  bool is_one_tree = true;
  CAUDAL_TRY(
      database.Query("SELECT 1 FROM object WHERE bucket=$1 AND key>=$2 AND key<$3"
                     " AND blob<>$4 || substr(key, length($5)) LIMIT 1",
                     {string_view(range.bucket), string_view(range.from), string_view(range.to),
                      string_view(root), string_view(range.from)},
                     [&](const sql::Row&) { is_one_tree = false; }));
  if (!is_one_tree) return std::optional<StoredPlace>();
  StoredPlace place{root, true, 0};
  CAUDAL_TRY(
      database.Query("SELECT sum(size) FROM object WHERE bucket=$1 AND key>=$2 AND key<$3",
                     {string_view(range.bucket), string_view(range.from), string_view(range.to)},
                     [&](const sql::Row& row) { place.size = row.Int(0); }));
  return std::optional<StoredPlace>(place);
}

}  // namespace

std::string TypeTitle(const v1::Artifact& artifact) {
  return artifact.type().schema_title().empty() ? artifact.type().instance_schema()
                                                : artifact.type().schema_title();
}

Result<std::optional<v1::Artifact>> FindImportable(sql::Database& database,
                                                   const std::string& name_space,
                                                   const std::string& pipeline_name,
                                                   const v1::Artifact& asked) {
  const std::string type = TypeTitle(asked);
  std::optional<v1::Artifact> found;
  bool is_sound = true;
  CAUDAL_TRY(database.Query(
      "SELECT body FROM artifact WHERE uri=$1 AND namespace=$2 AND pipeline=$3 AND type=$4"
      " ORDER BY key DESC LIMIT $5",
      {string_view(asked.uri()), string_view(name_space), string_view(pipeline_name),
       string_view(type), kMostCandidates},
      [&](const sql::Row& row) {
        if (found) return;
        v1::Artifact artifact;
        is_sound = artifact.ParseFromString(row.Text(0)) && is_sound;
        if (HasAll(artifact, asked)) found = std::move(artifact);
      }));
  if (!is_sound) {
    return base::Status(base::Code::kDataLoss, "an artifact of " + asked.uri() + " cannot be read");
  }
  return found;
}

Result<std::optional<StoredPlace>> FindObject(sql::Database& database, const std::string& uri) {
  const auto place = model::ParseStoreUri(uri);
  if (!place || place->key.empty()) return std::optional<StoredPlace>();
  std::optional<StoredPlace> file;
  CAUDAL_TRY(database.Query("SELECT blob, size FROM object WHERE bucket=$1 AND key=$2",
                            {string_view(place->bucket), string_view(place->key)},
                            [&](const sql::Row& row) {
                              file = StoredPlace{row.Text(0), false, row.Int(1)};
                            }));
  if (file) return file;
  return FindDirectory(database, *place);
}

}  // namespace caudal::store
