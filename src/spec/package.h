#pragma once

/// A pipeline package: YAML or JSON text to messages. The documents in it are a pipeline and
/// perhaps a platform, or the Kubernetes documents that hold these.

#include <google/protobuf/struct.pb.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "pipeline_spec/pipeline_spec.pb.h"

namespace caudal::spec {

/// Bounds on what a package may make us build. Exceeding one is a fault like any other.
struct PackageLimits {
  size_t text_bytes = 32u << 20;
  int depth = 200;
  size_t nodes = 1'000'000;           ///< after alias expansion
  size_t expanded_bytes = 64u << 20;  ///< scalars after alias expansion
};

/// What the Kubernetes documents Pipeline and PipelineVersion around a pipeline say about it; empty
/// where they say nothing.
struct Manifest {
  std::string pipeline_name;
  std::string pipeline_display_name;
  std::string pipeline_description;
  std::map<std::string, std::string> pipeline_tags;
  std::string version_name;
  std::string version_display_name;
  std::string version_description;
  std::map<std::string, std::string> version_tags;
  std::string code_source_url;
};

/// What a package says, parsed strictly and checked for form, not yet for its graph.
struct Package {
  ml_pipelines::PipelineSpec pipeline;
  std::optional<ml_pipelines::PlatformSpec> platform;
  /// What the API returns as `pipeline_spec`: the pipeline alone, or
  /// {"pipeline_spec":…, "platform_spec":…} when there is a platform document.
  google::protobuf::Struct as_struct;
  std::optional<Manifest> manifest;  ///< of a package that is Kubernetes documents
};

/// Reads a package. Errors: kInvalidArgument with one line per fault (path, value, remedy): not
/// YAML, duplicate keys, a v1 (Argo) workflow, unknown fields, no or two pipelines, wrong schema
/// version, missing name or root, limits.
base::Result<Package> LoadPackage(std::string_view text, const PackageLimits& limits = {});

/// The same from the API's `pipeline_spec` field (a bare spec or the two-part object).
base::Result<Package> LoadPackage(const google::protobuf::Struct& spec);

/// The stored form: canonical JSON of one document, {"pipeline_spec":…[,"platform_spec":…]}, which
/// LoadPackage reads back.
std::string StoredText(const Package& package);

/// The stricter name rule for stored pipelines: ^[a-z0-9][a-z0-9-]{0,127}$. Errors:
/// kInvalidArgument.
base::Status CheckPipelineName(const std::string& name);

}  // namespace caudal::spec
