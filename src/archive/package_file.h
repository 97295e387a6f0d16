#pragma once

/// A pipeline package as a file: the text itself, or an archive with it inside.

#include <string>
#include <string_view>

#include "archive/archive.h"
#include "base/status.h"

namespace caudal::archive {

/// The largest package, packed or not.
constexpr size_t kMaxPackageBytes = 32u << 20;

/// The YAML or JSON text in a package file; spec::LoadPackage reads it.
///
/// `file_name` decides first: *.yaml, *.yml and *.json are text, whatever is in them. Else the
/// content decides: of a zip or tar.gz the entry pipeline.yaml is taken, or else the first one,
/// which must be YAML. Errors: kInvalidArgument for anything else, for a broken or hostile archive,
/// and for one over a limit; the message names the file, the entry and what was expected.
base::Result<std::string> PackageText(std::string_view file_name, std::string_view content);

}  // namespace caudal::archive
