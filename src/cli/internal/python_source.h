#pragma once

/// A pipeline in a Python file, as users name it, and the Python that compiles it.

#include <optional>
#include <string>

#include "base/status.h"

namespace caudal::cli {

struct PythonSource {
  std::string file;      ///< as the user named it
  std::string function;  ///< after the colon; empty: the only one there is
};

/// "x.py" or "x.py:FUNC"; nullopt for a word that names no Python file.
std::optional<PythonSource> ParsePythonSource(const std::string& word);

/// The interpreter for `file`: `given` (--python), else CAUDAL_PYTHON, the active virtual
/// environment, `.venv` beside the file or here, python3 of PATH. Absolute, not resolved: what a
/// link in an environment points at is another Python. Errors: kInvalidArgument when the one that
/// was asked for does not exist or there is none at all.
base::Result<std::string> FindPython(const std::string& given, const std::string& file);

/// The Python of the active virtual environment, or of `.venv` here, when kfp is installed in it;
/// empty otherwise. What FindPython will answer for most files, known without running anything.
std::string FindPreparedPython();

}  // namespace caudal::cli
