#pragma once

/// The Kubernetes documents Pipeline and PipelineVersion around a pipeline.

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "spec/package.h"

namespace caudal::spec::internal {

/// What a document holds besides names. Both point into the document.
struct ManifestParts {
  const boost::json::value* pipeline = nullptr;  ///< spec.pipelineSpec
  const boost::json::value* platform = nullptr;  ///< spec.platformSpec
};

/// Whether a document is of the group pipelines.kubeflow.org.
bool IsManifest(const boost::json::object& document);

/// Adds what `document` says to `manifest` and what is wrong with it to `faults`; `where` names
/// the document in those.
ManifestParts ReadManifest(const boost::json::object& document, const std::string& where,
                           Manifest* manifest, std::vector<base::Fault>* faults);

}  // namespace caudal::spec::internal
