#pragma once

/// Local code for the steps of a run: a package, a folder or a module, as one archive.

#include <string>
#include <vector>

#include "base/status.h"
#include "caudal/v1/origin.pb.h"

namespace caudal::cli {

struct LocalCode {
  v1::CodeSnapshot snapshot;
  std::string tar;                    ///< canonical: the same files give the same bytes
  std::vector<std::string> left_out;  ///< links but to files inside it, sockets, pipes; relative
};

/// What `--with PATH` stands for. A folder with `__init__.py` is a package and keeps its name, as a
/// module does; another folder stands for what is in it. Version control, caches, virtual
/// environments and byte code are left out. Errors: kInvalidArgument when there is no such path, it
/// is no Python module, or it is larger than a snapshot may be.
base::Result<LocalCode> PackCode(const std::string& path);

}  // namespace caudal::cli
