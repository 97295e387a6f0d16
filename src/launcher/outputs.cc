#include "launcher/internal/outputs.h"
#include "wire/json.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/file.h"
#include "launcher/internal/executor_input.h"
#include "launcher/internal/uri.h"

namespace caudal::launcher::internal {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Struct;
using ml_pipelines::RuntimeArtifact;

std::string WithoutQuery(const std::string& uri) { return uri.substr(0, uri.find('?')); }

/// "scheme://bucket/key" in the one form that can be compared; nullopt when it has a ".." part.
std::optional<std::string> Canonical(const StoreUri& uri) {
  const auto key = uri.KeyPath();
  if (!key) return std::nullopt;
  return uri.scheme + "://" + uri.bucket + (key->empty() ? "" : "/" + *key);
}

std::string CanonicalOr(const std::string& uri) {
  const auto parsed = ParseStoreUri(WithoutQuery(uri));
  return parsed ? Canonical(*parsed).value_or(uri) : uri;
}

/// Everything a run stores lies below this.
std::string RunRoot(const v1::AttemptSpec& spec) {
  if (!spec.job().pipeline_root().empty()) {
    return CanonicalOr(WithoutQuery(spec.job().pipeline_root()) + "/" + spec.job().pipeline_name() +
                       "/" + spec.run_id());
  }
  std::string root = CanonicalOr(spec.task_root());
  for (int parts = 0; parts < 2; ++parts) root = root.substr(0, root.rfind('/'));
  return root;
}

bool IsDirectory(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::optional<std::string> RealPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(realpath(path.c_str(), nullptr), std::free);
  if (real == nullptr) return std::nullopt;
  return std::string(real.get());
}

/// The innermost mount that covers `path`, or null.
const v1::Mount* MountOf(const std::vector<v1::Mount>& mounts, const std::string& path) {
  const v1::Mount* best = nullptr;
  for (const v1::Mount& mount : mounts) {
    if (!IsWithin(path, mount.target())) continue;
    // Of two mounts on one target the later covers the earlier.
    if (best == nullptr || mount.target().size() >= best->target().size()) best = &mount;
  }
  return best;
}

class Planner {
 public:
  Planner(const Layout& layout, const v1::AttemptSpec& spec, const View& view)
      : layout_(layout),
        spec_(spec),
        view_(view),
        places_(PlacesOf(layout, spec, view.sandbox)),
        task_root_(CanonicalOr(spec.task_root())),
        run_root_(RunRoot(spec)) {}

  Result<OutputPlan> Run(const ml_pipelines::ExecutorOutput& output) {
    const auto& declared = spec_.component().output_definitions().artifacts();
    std::vector<std::string> names;
    for (const auto& [name, definition] : declared) names.push_back(name);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const bool is_list = declared.at(name).is_artifact_list();
      const auto given = output.artifacts().find(name);
      const int count = given == output.artifacts().end() ? -1 : given->second.artifacts().size();
      if (count <= 0 && !(is_list && count == 0)) CAUDAL_TRY(Add(name, 0, RuntimeArtifact()));
      for (int i = 0; i < (is_list ? count : std::min(count, 1)); ++i) {
        CAUDAL_TRY(Add(name, i, given->second.artifacts(i)));
      }
    }
    MarkNeeded();
    MarkShared();
    return std::move(plan_);
  }

 private:
  Status Add(const std::string& name, int index, const RuntimeArtifact& given) {
    Status added = Place(name, index, given);
    return added.ok() ? added : std::move(added).With("output '" + name + "'");
  }

  Status Place(const std::string& name, int index, const RuntimeArtifact& given) {
    OutputSlot slot;
    CAUDAL_TRY(Describe(name, index, given, &slot.artifact));
    const std::string& custom = given.custom_path();
    const std::string& uri = slot.artifact.uri();
    const auto parsed = ParseStoreUri(uri);
    if (!parsed && !custom.empty()) {
      return InvalidArgument("its custom path '" + custom + "' cannot be stored under URI '" + uri +
                             "'; use a URI below " + run_root_);
    }
    if (parsed) {
      const auto canonical = Canonical(*parsed);
      if (!canonical) return InvalidArgument("its URI '" + uri + "' has a '..' part");
      if (!custom.empty() || !UseInput(*canonical, &slot)) {
        CAUDAL_TRY(PlaceStored(name, index, *canonical, custom, &slot));
      }
    }
    plan_.slots.push_back(std::move(slot));
    return {};
  }

  Status Describe(const std::string& name, int index, const RuntimeArtifact& given,
                  v1::Artifact* artifact) const {
    const RuntimeArtifact provisioned = OutputArtifact(spec_, name);
    artifact->set_name(name);
    *artifact->mutable_type() = provisioned.type();
    artifact->set_uri(given.uri().empty() ? provisioned.uri() : FromHostUri(given.uri()));
    if (index > 0 && given.uri().empty()) {
      return InvalidArgument("entry " + std::to_string(index) + " of the list has no URI");
    }
    Struct& metadata = *artifact->mutable_metadata();
    metadata = provisioned.metadata();
    for (const auto& [key, value] : given.metadata().fields()) {
      if (value.has_null_value()) {
        return InvalidArgument("its metadata '" + key +
                               "' is null; leave the key out or give a value");
      }
      if (wire::ValueDepth(value) > wire::kMaxValueDepth) {
        return InvalidArgument("its metadata '" + key + "' is nested deeper than " +
                               std::to_string(wire::kMaxValueDepth) + " levels; flatten it");
      }
      (*metadata.mutable_fields())[key] = value;
    }
    metadata.mutable_fields()->erase(kWorkspaceMark);
    auto& display_name = (*metadata.mutable_fields())["display_name"];
    if (display_name.kind_case() == google::protobuf::Value::KIND_NOT_SET) {
      display_name.set_string_value(name);
    }
    return {};
  }

  /// Without a sandbox an SDK that was not told of the fake root gives its host path as a URI.
  std::string FromHostUri(const std::string& uri) const {
    if (places_.sandbox || !IsWithin(uri, places_.FakeRoot())) return uri;
    const std::string path = uri.substr(places_.FakeRoot().size());
    for (const auto& [mount, scheme] :
         {std::pair("/minio/", "minio://"), {"/s3/", "s3://"}, {"/gcs/", "gs://"}}) {
      if (path.starts_with(mount)) return scheme + path.substr(std::string_view(mount).size());
    }
    return uri;
  }

  /// An input handed on keeps its bytes where they are.
  bool UseInput(const std::string& uri, OutputSlot* slot) const {
    for (const auto& [name, list] : spec_.artifacts()) {
      for (const v1::Artifact& input : list.artifacts()) {
        const std::string outer = CanonicalOr(input.uri());
        if (input.blob().empty() || !IsWithin(uri, outer)) continue;
        const std::string blob = input.blob() + uri.substr(outer.size());
        if (!base::PathExists(layout_.BlobPath(blob))) continue;
        slot->artifact.set_blob(blob);
        slot->artifact.set_is_directory(IsDirectory(layout_.BlobPath(blob)));
        return true;
      }
    }
    return false;
  }

  Status PlaceStored(const std::string& name, int index, const std::string& uri,
                     const std::string& custom, OutputSlot* slot) {
    if (!IsWithin(uri, run_root_) && !IsWithin(uri, task_root_)) {
      return InvalidArgument("its URI '" + slot->artifact.uri() + "' lies outside the run's root " +
                             run_root_ + "; store it below that, or hand on a URI of another kind");
    }
    Publication publication;
    publication.name = index == 0 ? name : ".item-" + std::to_string(index) + "-" + name;
    publication.uri = uri;
    if (!custom.empty()) {
      CAUDAL_ASSIGN(publication.source, CustomPlace(custom, &publication.copy));
    } else if (IsWithin(uri, task_root_)) {
      const auto [known, is_new] = by_uri_.try_emplace(uri, plan_.publications.size());
      slot->publication = known->second;
      if (!is_new) return {};
      publication.source = {places_.Outputs(),
                            uri == task_root_ ? "" : uri.substr(task_root_.size() + 1)};
    } else {
      return {};  // elsewhere in the run: the step could write nothing there
    }
    slot->publication = plan_.publications.size();
    plan_.publications.push_back(std::move(publication));
    return {};
  }

  Result<internal::Place> CustomPlace(const std::string& custom, bool* copy) const {
    const auto joined = std::filesystem::path(view_.working_directory) / custom;
    std::string path = joined.lexically_normal().string();
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return view_.sandbox ? SandboxPlace(path, copy) : ProcessPlace(path, copy);
  }

  Result<internal::Place> SandboxPlace(const std::string& path, bool* copy) const {
    const v1::Mount* mount = MountOf(view_.mounts, path);
    const bool kept = mount != nullptr && mount->kind() == v1::Mount::BIND &&
                      (mount->writable() || IsWithin(mount->source(), layout_.BlobPath("")));
    if (!kept) {
      return InvalidArgument("its custom path '" + path +
                             "' is not kept when the step has ended; "
                             "write below /tmp, $HOME or the artifact's own path");
    }
    *copy = !IsWithin(mount->source(), places_.work);
    const std::string rest = path.substr(std::min(path.size(), mount->target().size()));
    if (rest.empty() && !IsDirectory(mount->source())) return Beside(mount->source());
    return internal::Place{mount->source(), rest.empty() ? "" : rest.substr(1)};
  }

  Result<internal::Place> ProcessPlace(const std::string& path, bool* copy) const {
    const std::string host = HostPaths(layout_, spec_, view_)(path).value_or(path);
    if (IsWithin(host, places_.work) && host != places_.work) {
      for (const std::string& part : {places_.Outputs(), places_.Temporary(), places_.Home()}) {
        if (!IsWithin(host, part)) continue;
        return internal::Place{part, host == part ? "" : host.substr(part.size() + 1)};
      }
      return internal::Place{places_.work, host.substr(places_.work.size() + 1)};
    }
    *copy = true;
    return IsDirectory(host) ? internal::Place{host, ""} : Beside(host);
  }

  static internal::Place Beside(const std::string& file) {
    const std::filesystem::path path(file);
    return {path.parent_path().string(), path.filename().string()};
  }

  /// Collecting again must find what it read the first time: parameters and the output file stay.
  void MarkNeeded() {
    const std::string output_file = places_.Outputs() + "/" + kOutputFileName;
    for (Publication& publication : plan_.publications) {
      const std::string path = publication.source.Absolute();
      publication.copy |= publication.source.path.empty() || path == output_file ||
                          IsWithin(path, places_.Parameters());
    }
  }

  /// What one output holds of another's source must be copied: a move would take it away.
  void MarkShared() {
    std::map<std::string, std::vector<size_t>> by_path;
    for (size_t i = 0; i < plan_.publications.size(); ++i) {
      by_path[plan_.publications[i].source.Absolute()].push_back(i);
    }
    const auto mark = [&](const std::vector<size_t>& indices) {
      for (const size_t i : indices) plan_.publications[i].copy = true;
    };
    for (const auto& [path, indices] : by_path) {
      if (indices.size() > 1) mark(indices);
      for (auto outer = std::filesystem::path(path).parent_path(); outer.has_relative_path();
           outer = outer.parent_path()) {
        const auto found = by_path.find(outer.string());
        if (found == by_path.end()) continue;
        mark(indices);
        mark(found->second);
      }
    }
  }

  const Layout& layout_;
  const v1::AttemptSpec& spec_;
  const View& view_;
  const Places places_;
  const std::string task_root_;
  const std::string run_root_;
  std::map<std::string, size_t> by_uri_;
  OutputPlan plan_;
};

}  // namespace

Result<OutputPlan> PlanOutputs(const Layout& layout, const v1::AttemptSpec& spec, const View& view,
                               const ml_pipelines::ExecutorOutput& output) {
  return Planner(layout, spec, view).Run(output);
}

ToHost HostPaths(const Layout& layout, const v1::AttemptSpec& spec, const View& view) {
  const std::string work = layout.WorkDir(spec.attempt_key());
  return [work, sandbox = view.sandbox,
          mounts = view.mounts](const std::string& path) -> std::optional<std::string> {
    if (sandbox) {
      const v1::Mount* mount = MountOf(mounts, path);
      if (mount == nullptr || mount->kind() != v1::Mount::BIND) return std::nullopt;
      return mount->source() + path.substr(std::min(path.size(), mount->target().size()));
    }
    const auto real = RealPath(path);
    const auto real_work = RealPath(work);
    if (!real || !real_work) return std::nullopt;
    return IsWithin(*real, *real_work) ? work + real->substr(real_work->size()) : *real;
  };
}

v1::Artifact MakeLogArtifact(const v1::AttemptSpec& spec) {
  v1::Artifact log;
  log.set_name(kLogArtifact);
  log.mutable_type()->set_schema_title("system.Artifact");
  log.set_uri(LogUri(spec));
  auto& fields = *log.mutable_metadata()->mutable_fields();
  fields["display_name"].set_string_value(kLogArtifact);
  return log;
}

}  // namespace caudal::launcher::internal
