#include "cli/internal/local_code.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "archive/archive.h"
#include "base/file.h"
#include "base/sha256.h"

namespace caudal::cli {
namespace {

namespace fs = std::filesystem;
using archive::Entry;
using base::InvalidArgument;
using base::Result;
using base::Status;

constexpr int64_t kMostBytes = 32LL << 20;
constexpr size_t kMostFiles = 10'000;

// What no step imports and what would make two equal trees differ.
constexpr std::array<std::string_view, 13> kLeftOut = {
    ".git",     ".hg",  ".svn",        "__pycache__",   ".venv",       "node_modules",
    ".tox",     ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints",
    ".DS_Store"};

bool IsLeftOut(const fs::path& path) {
  const std::string name = path.filename().string();
  if (std::find(kLeftOut.begin(), kLeftOut.end(), name) != kLeftOut.end()) return true;
  if (name.ends_with(".pyc") || name.ends_with(".pyo")) return true;
  std::error_code error;
  return fs::exists(path / "pyvenv.cfg", error);  // a virtual environment of any name
}

bool IsWithin(const fs::path& path, const fs::path& root) {
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return end == root.end();
}

/// Collects the files below a folder.
class Walk {
 public:
  Walk(std::string given, fs::path root) : given_(std::move(given)), root_(std::move(root)) {}

  Status AddFolder(const fs::path& folder, const fs::path& name) {
    std::error_code error;
    fs::directory_iterator it(folder, error);
    if (error)
      return InvalidArgument("--with '" + given_ + "': " + folder.string() + ": " +
                             error.message());
    for (; it != fs::directory_iterator(); it.increment(error)) {
      if (error) return InvalidArgument("--with '" + given_ + "': " + error.message());
      if (!IsLeftOut(it->path())) CAUDAL_TRY(Add(it->path(), name / it->path().filename()));
    }
    return {};
  }

  Status AddFile(const fs::path& path, const fs::path& name) {
    auto content = base::ReadFile(path.string(), kMostBytes + 1 - bytes_);
    if (!content.ok()) {
      if (content.status().code() == base::Code::kResourceExhausted) return TooLarge(name);
      return InvalidArgument("--with '" + given_ + "': " + content.status().message());
    }
    bytes_ += static_cast<int64_t>(content->size());
    if (bytes_ > kMostBytes || entries_.size() == kMostFiles) return TooLarge(name);
    std::error_code error;
    const bool is_executable =
        (fs::status(path, error).permissions() & fs::perms::owner_exec) != fs::perms::none;
    entries_.push_back({name.generic_string(), std::move(content).value(), is_executable});
    return {};
  }

  std::vector<Entry>& entries() { return entries_; }
  std::vector<std::string>& left_out() { return left_out_; }

 private:
  Status Add(const fs::path& path, const fs::path& name) {
    std::error_code error;
    const fs::file_status own = fs::symlink_status(path, error);
    if (fs::is_directory(own)) return AddFolder(path, name);
    if (fs::is_regular_file(own)) return AddFile(path, name);
    const bool is_link_inside = fs::is_symlink(own) && fs::is_regular_file(path, error) &&
                                IsWithin(fs::canonical(path, error), root_);
    if (is_link_inside) return AddFile(path, name);
    left_out_.push_back(name.generic_string());
    return {};
  }

  Status TooLarge(const fs::path& name) const {
    return InvalidArgument(
        "--with '" + given_ + "' is larger than the " + std::to_string(kMostBytes >> 20) +
        " MiB or " + std::to_string(kMostFiles) + " files that code may have, at '" +
        name.generic_string() + "': name the package inside it, and give data as an artifact");
  }

  const std::string given_;
  const fs::path root_;
  int64_t bytes_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::string> left_out_;
};

}  // namespace

Result<LocalCode> PackCode(const std::string& path) {
  std::error_code error;
  const fs::path full = fs::canonical(path, error);
  if (error) return InvalidArgument("--with '" + path + "': " + error.message());
  Walk walk(path, full);
  if (fs::is_directory(full, error)) {
    const bool is_package = fs::exists(full / "__init__.py", error);
    CAUDAL_TRY(walk.AddFolder(full, is_package ? full.filename() : fs::path()));
  } else if (full.extension() == ".py") {
    CAUDAL_TRY(walk.AddFile(full, full.filename()));
  } else {
    return InvalidArgument("--with '" + path + "' is no Python code: name a folder or a .py file");
  }
  if (walk.entries().empty()) {
    return InvalidArgument("--with '" + path + "' has no files that a step could import");
  }
  LocalCode code;
  auto tar = archive::CanonicalTar(std::move(walk.entries()));
  if (!tar.ok()) return Status(tar.status()).With("--with '" + path + "'");
  code.tar = std::move(tar).value();
  code.snapshot.set_sha256(base::Sha256Hex(code.tar));
  code.snapshot.set_path(full.string());
  code.left_out = std::move(walk.left_out());
  return code;
}

}  // namespace caudal::cli
