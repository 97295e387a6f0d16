#include "launcher/internal/publish.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/sha256.h"
#include "launcher/internal/uri.h"

namespace caudal::launcher::internal {
namespace {

using base::Result;
using base::Status;

constexpr int64_t kDigestLimit = 64LL << 20;  // larger files get their digest after the commit

Result<std::string> Digest(const std::string& path) {
  base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return base::FromErrno(errno, "cannot read " + path);
  base::Sha256 digest;
  std::vector<char> buffer(1 << 17);
  while (true) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::FromErrno(errno, "cannot read " + path);
    if (got == 0) return digest.FinishHex();
    digest.Update({buffer.data(), static_cast<size_t>(got)});
  }
}

/// One call of `Publish`. A publication goes through three places: its source, `draft/<name>`, and
/// `final/<name>`; whichever exists last in that order is where a crash left it.
class Publisher {
 public:
  Publisher(const Layout& layout, int64_t attempt_key, std::string draft,
            const std::vector<Publication>& wanted, const ToHost& to_host)
      : final_(layout.BlobDir(attempt_key)),
        draft_(std::move(draft)),
        blob_prefix_(final_.substr(layout.BlobPath("").size()) + "/"),
        wanted_(wanted),
        to_host_(to_host) {}

  Result<std::vector<Published>> Run() {
    is_final_ = base::PathExists(final_);
    CAUDAL_TRY(ScanAll());
    const bool any = std::any_of(trees_.begin(), trees_.end(),
                                 [](const auto& tree) { return tree.has_value(); });
    if (!is_final_ && any) {
      const Status placed = PlaceAll();
      if (!placed.ok()) {
        TakeBack();
        return placed;
      }
    }
    return Describe();
  }

 private:
  std::string DraftOf(const Publication& wanted) const { return draft_ + "/" + wanted.name; }

  Status ScanAll() {
    for (const Publication& wanted : wanted_) {
      Place place = wanted.source;
      if (is_final_) {
        place = {final_, wanted.name};
      } else if (base::PathExists(DraftOf(wanted))) {
        place = {draft_, wanted.name};
      }
      auto tree = Scan(place, to_host_);
      if (!tree.ok()) return Status(tree.status()).With("output '" + wanted.name + "'");
      trees_.push_back(*std::move(tree));
    }
    return {};
  }

  /// Copies before moves: a copy's source may be part of what is moved.
  Status PlaceAll() {
    CAUDAL_TRY(base::MakeDirs(draft_));
    CAUDAL_TRY(base::RemoveTree(draft_ + "/.part"));
    for (const bool copies : {true, false}) {
      for (size_t i = 0; i < wanted_.size(); ++i) {
        const bool copy = wanted_[i].copy || (trees_[i] && trees_[i]->must_copy);
        if (copy == copies && trees_[i]) CAUDAL_TRY(PlaceOne(wanted_[i], *trees_[i], copy));
      }
    }
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (trees_[i]) CAUDAL_TRY(Explain(Seal(*trees_[i], DraftOf(wanted_[i])), i));
    }
    CAUDAL_TRY(base::SyncDir(draft_));
    const std::string shelf = std::filesystem::path(final_).parent_path().string();
    CAUDAL_TRY(base::MakeDirs(shelf));
    CAUDAL_TRY(base::SyncDir(std::filesystem::path(shelf).parent_path().string()));
    return base::RenameDurably(draft_, final_).With("cannot publish the outputs");
  }

  Status PlaceOne(const Publication& wanted, const Tree& tree, bool copy) {
    const std::string target = DraftOf(wanted);
    if (base::PathExists(target)) return {};  // placed before a crash
    const size_t index = static_cast<size_t>(&wanted - wanted_.data());
    if (!copy) {
      const std::string source = wanted.source.Absolute();
      if (rename(source.c_str(), target.c_str()) == 0) {
        moved_.emplace_back(source, target);
        return {};
      }
      if (errno != EXDEV) {
        return Explain(base::FromErrno(errno, "cannot move " + source), index);
      }
    }
    const std::string part = draft_ + "/.part";
    CAUDAL_TRY(Explain(CopyTree(tree, part), index));
    if (rename(part.c_str(), target.c_str()) == 0) return {};
    return Explain(base::FromErrno(errno, "cannot rename " + part), index);
  }

  Status Explain(Status status, size_t index) const {
    return std::move(status).With("cannot publish output '" + wanted_[index].name + "' (" +
                                  std::to_string(trees_[index]->bytes) + " bytes)");
  }

  /// A failure leaves things as they were, so that the same call fails the same way.
  void TakeBack() {
    for (const auto& [source, target] : moved_) {
      if (rename(target.c_str(), source.c_str()) != 0)
        return;  // the draft stays, and is found again
    }
    base::Status removed = base::RemoveTree(draft_);  // what stays is wiped with the work directory
    static_cast<void>(removed);
  }

  Result<std::vector<Published>> Describe() const {
    std::vector<Published> all(wanted_.size());
    std::set<std::pair<std::string, std::string>> rows;
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (!trees_[i]) continue;
      all[i].exists = true;
      all[i].is_directory = trees_[i]->is_directory;
      all[i].blob = blob_prefix_ + wanted_[i].name;
      all[i].size_bytes = trees_[i]->bytes;
      const auto uri = ParseStoreUri(wanted_[i].uri);
      if (!uri) continue;
      for (const TreeFile& file : trees_[i]->files) {
        CAUDAL_ASSIGN(v1::StoredObject object, DescribeFile(*uri, all[i].blob, file));
        // Two outputs may cover one key; the first by name is it.
        if (rows.emplace(object.bucket(), object.key()).second) {
          all[i].objects.push_back(std::move(object));
        }
      }
    }
    return all;
  }

  Result<v1::StoredObject> DescribeFile(const StoreUri& uri, const std::string& blob,
                                        const TreeFile& file) const {
    const std::string tail = file.path.empty() ? "" : "/" + file.path;
    v1::StoredObject object;
    object.set_bucket(uri.bucket);
    object.set_key(uri.key.empty() ? file.path : uri.key + tail);
    object.set_blob(blob + tail);
    object.set_size(file.size);
    if (file.size <= kDigestLimit) {
      CAUDAL_ASSIGN(std::string digest,
                    Digest(final_ + "/" + blob.substr(blob_prefix_.size()) + tail));
      object.set_sha256(digest);
    }
    return object;
  }

  const std::string final_;
  const std::string draft_;
  const std::string blob_prefix_;
  const std::vector<Publication>& wanted_;
  const ToHost& to_host_;
  bool is_final_ = false;
  std::vector<std::optional<Tree>> trees_;
  std::vector<std::pair<std::string, std::string>> moved_;
};

}  // namespace

Result<std::vector<Published>> Publish(const Layout& layout, int64_t attempt_key,
                                       const std::string& draft,
                                       const std::vector<Publication>& wanted,
                                       const ToHost& to_host) {
  return Publisher(layout, attempt_key, draft, wanted, to_host).Run();
}

}  // namespace caudal::launcher::internal
