#include <array>
#include <cstdio>
#include <string>

#include "base/file.h"
#include "cli/internal/common_flags.h"
#include "cli/internal/submission.h"
#include "cli/internal/verbs.h"

namespace caudal::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"--output", "-o", "FILE", "where the package goes (default: standard output)", false,
         "file"},
    Flag{"--python", "", "PATH", "the Python, or virtual environment, that has kfp", false, "file"},
    kDataDirFlag,
};

int CompileVerb(const Arguments& arguments) {
  const auto read = ReadPackage(arguments, arguments.positionals().front());
  if (!read.ok()) return FailWith(read.status());
  const std::string output = arguments.Get("--output");
  if (output.empty()) {
    std::fwrite(read->package.data(), 1, read->package.size(), stdout);
    return std::fflush(stdout) == 0 ? kExitOk : Fail(kExitWrongInput, "standard output is closed");
  }
  const base::Status written = base::WriteFileAtomic(output, read->package, 0644);
  return written.ok() ? kExitOk : Fail(kExitWrongInput, written.message());
}

constexpr std::array kEntries = {
    Entry{{"compile", "FILE[:FUNC]", "Compiles a pipeline in Python to YAML.", kFlags,
           "caudal compile pipeline.py -o pipeline.yaml\n"
           "caudal compile pipelines.py:train",
           false, "file"},
          CompileVerb},
};

}  // namespace

std::span<const Entry> CompileEntries() { return kEntries; }

}  // namespace caudal::cli
