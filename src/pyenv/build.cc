#include "pyenv/internal/build.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"
#include "process/process.h"
#include "pyenv/caudal_mounts.h"
#include "pyenv/internal/files.h"
#include "pyenv/internal/interpreter.h"
#include "pyenv/internal/settings.h"
#include "sandbox/sandbox.h"

namespace caudal::pyenv::internal {
namespace {

using base::FailedPrecondition;
using base::FromErrno;
using base::Result;
using base::Status;

constexpr std::chrono::minutes kTimeout(30);

/// Passes what the installer says on line by line, without secrets, and remembers the last ones.
class Output {
 public:
  explicit Output(const std::function<void(std::string_view)>& progress) : progress_(progress) {}

  void Add(std::string_view text) {
    pending_ += text;
    if (pending_.size() > kMaxLine) pending_ += '\n';
    for (size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
      AddLine(pending_.substr(0, end));
      pending_.erase(0, end + 1);
    }
  }

  std::string LastLines() {
    if (!pending_.empty()) AddLine(std::exchange(pending_, ""));
    std::string text;
    for (const std::string& line : lines_) text += "\n" + line;
    return text;
  }

 private:
  void AddLine(const std::string& line) {
    constexpr size_t kKept = 20;
    constexpr size_t kLongest = 2000;
    const std::string shown = base::ToUtf8(MaskSecrets(line));
    if (progress_) progress_(shown + "\n");
    lines_.push_back(base::Shortened(shown, kLongest));
    if (lines_.size() > kKept) lines_.pop_front();
  }

  static constexpr size_t kMaxLine = 64 * 1024;

  const std::function<void(std::string_view)>& progress_;
  std::string pending_;
  std::deque<std::string> lines_;
};

bool IsKfpRequirement(const std::string& package) {
  return package == "kfp" || package.starts_with("kfp==") || package.starts_with("kfp-dsl==");
}

/// A source tree or an archive: what a kfp package given as a path may be. Anything else that lies
/// there is none of the packages' business.
bool IsPackage(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return base::PathExists(path + "/setup.py") || base::PathExists(path + "/pyproject.toml");
  }
  return path.ends_with(".whl") || path.ends_with(".tar.gz") || path.ends_with(".zip");
}

/// The path in "/a/kfp.whl", "file:///a/kfp" or "kfp @ file:///a/kfp"; empty when there is none.
std::string PathOf(const std::string& package) {
  const size_t url = package.find("file://");
  if (url != std::string::npos) {
    const size_t begin = url + 7;
    return package.substr(begin, package.find_first_of("#? ", begin) - begin);
  }
  return package.starts_with('/') ? package.substr(0, package.find('[')) : "";
}

/// One build, under the lock.
class Builder {
 public:
  explicit Builder(BuildJob job)
      : job_(std::move(job)),
        record_(job_.record),
        output_(job_.progress),
        root_(job_.disk.Root(record_.id())),
        venv_(job_.disk.Venv(record_.id())),
        site_packages_(SitePackages(venv_, record_.interpreter)),
        scratch_(root_ + "/scratch") {}

  Result<Record> Run() {
    CAUDAL_TRY(Prepare());
    CAUDAL_TRY(Do("make a virtual environment", {record_.interpreter.path, "-m", "venv", venv_}));
    // Before any package could put a link in our way: what we write, we write as ourselves.
    CAUDAL_TRY(WriteBootstrap());
    for (const PipCall& call : record_.calls) CAUDAL_TRY(Install(call));
    CAUDAL_TRY(Compile());
    CAUDAL_TRY(Freeze());
    return Finish();
  }

 private:
  /// `root_` stays the server's alone.
  Status Prepare() {
    CAUDAL_TRY(base::RemoveTree(root_));
    for (const std::string& path : {root_, scratch_, venv_}) {
      CAUDAL_TRY(base::MakeDirs(path, 0755));
    }
    if (options().owner_uid >= 0 && !options().sandbox) ChooseUid();
    own_home_ = build_uid_ < 0 && !options().sandbox && !Variable("HOME").empty();
    if (!job_.installer.note.empty()) output_.Add("note: " + job_.installer.note + "\n");
    CAUDAL_TRY(WriteSettings());
    if (options().owner_uid < 0) return {};
    CAUDAL_TRY(GiveTree(scratch_, options().owner_uid));
    return GiveTree(venv_, options().owner_uid);
  }

  /// The files where the installers would find them at home; they go with the scratch.
  Status WriteSettings() const {
    const Settings& settings = job_.installer.settings;
    if (const auto uv = settings.find(kUvConfig); uv != settings.end()) {
      CAUDAL_TRY(base::WriteFileAtomic(scratch_ + "/uv.toml", uv->second));
    }
    const auto pip = settings.find(kPipConfig);
    if (own_home_ || pip == settings.end()) return {};
    CAUDAL_TRY(base::MakeDirs(scratch_ + "/.config/pip"));
    return base::WriteFileAtomic(scratch_ + "/.config/pip/pip.conf", pip->second);
  }

  /// Without a sandbox: the other user, where that one gets at its files.
  void ChooseUid() {
    const int owner = options().owner_uid;
    const std::string& python = record_.interpreter.path;
    const bool reaches = CanReach(owner, root_) && CanReach(owner, python);
    build_uid_ = reaches ? owner : -1;
    if (reaches) return;
    output_.Add("note: user " + std::to_string(owner) + " cannot enter " + root_ + " or " + python +
                "; building as the server's user\n");
  }

  Status Install(const PipCall& call) {
    std::string what = "install";
    for (const std::string& package : call.packages) what += " '" + package + "'";
    return Do(what, job_.installer.Words(call, venv_));
  }

  Status Do(const std::string& what, const std::vector<std::string>& words) {
    const std::string shown = MaskSecrets(what);
    job_.disk.NoteInstall(record_.id(), NameOf(words) + ": " + shown);
    const auto exit = Execute(words, [&](std::string_view text) { output_.Add(text); });
    const std::string failed = "cannot " + shown + " for Python " + record_.interpreter.version;
    if (!exit.ok()) {
      return FailedPrecondition(failed + ": " + exit.status().message() + output_.LastLines());
    }
    if (exit->ok()) return {};
    const std::string how = exit->signal != 0 ? "signal " + std::to_string(exit->signal)
                                              : "exit code " + std::to_string(exit->code);
    return FailedPrecondition(failed + " (" + how + "):" + output_.LastLines());
  }

  /// "uv", "pip" or "venv".
  static std::string NameOf(const std::vector<std::string>& words) {
    return words[1] == "-m" ? words[2] : "uv";
  }

  /// Compiled modules that say nothing of where and when they were made are the same in every
  /// environment. Some packages hold files for other Pythons, which do not compile: no matter.
  Status Compile() {
    CAUDAL_TRY(CheckPlace());
    CAUDAL_TRY(Settle(site_packages_));
    std::vector<std::string> words = {
        venv_ + "/bin/python", "-I", "-m", "compileall", "-qq", "-j", "0"};
    if (CanStripPaths()) words.insert(words.end(), {"-s", site_packages_});
    words.push_back(site_packages_);
    CAUDAL_ASSIGN(const process::Exit exit, Execute(words, {}));
    if (exit.signal != 0) {
      return FailedPrecondition("compiling the modules was ended by signal " +
                                std::to_string(exit.signal) + "; is there enough memory?");
    }
    CAUDAL_TRY(CheckPlace());
    return Settle(site_packages_);
  }

  /// A package's code can have put a link where modules belong; following it, we would change files
  /// elsewhere with the server's rights.
  Status CheckPlace() const {
    std::error_code error;
    const auto venv = std::filesystem::canonical(venv_, error);
    if (error) return FromErrno(error.value(), "cannot find " + venv_);
    const auto modules = std::filesystem::canonical(site_packages_, error);
    if (!error && modules == venv / site_packages_.substr(venv_.size() + 1)) return {};
    return FailedPrecondition("a package has moved " + site_packages_ +
                              " away; remove it from packages_to_install");
  }

  /// compileall -s came with Python 3.9.
  bool CanStripPaths() const {
    const std::string& version = record_.interpreter.version;
    return version.size() > 4 && (version[3] != '.' || version[2] == '9');
  }

  Status Freeze() {
    constexpr size_t kMaxLock = 1 << 20;
    const auto run = [&](const std::vector<std::string>& words) -> Result<std::string> {
      std::string said;
      const auto exit = Execute(words, [&](std::string_view text) {
        said += text.substr(0, kMaxLock - std::min(said.size(), kMaxLock));
      });
      if (!exit.ok()) return exit.status();
      if (!exit->ok())
        return FailedPrecondition(words[3] + " failed:\n" + base::ToUtf8(MaskSecrets(said)));
      return base::ToUtf8(MaskSecrets(said));
    };
    const std::string python = venv_ + "/bin/python";
    job_.disk.NoteInstall(record_.id(), "pip: freeze");
    CAUDAL_ASSIGN(record_.lock,
                  run({python, "-m", "pip", "freeze", "--disable-pip-version-check"}));
    record_.installer = job_.installer.name;
    if (!record_.installer.empty()) return {};
    CAUDAL_ASSIGN(const std::string version,
                  run({python, "-I", "-c", "import pip; print('pip', pip.__version__)"}));
    record_.installer = version.substr(0, version.find('\n'));
    return {};
  }

  /// From here on it exists: the record comes last, and everything else is on the disk before.
  Result<Record> Finish() {
    CAUDAL_TRY(base::RemoveTree(scratch_));
    if (options().owner_uid >= 0) CAUDAL_TRY(GiveTree(venv_, options().owner_uid));
    CAUDAL_TRY(CheckPlace());
    std::vector<std::string> others;
    for (const std::string& venv : job_.others) {
      others.push_back(SitePackages(venv, record_.interpreter));
    }
    CAUDAL_TRY(ShareFiles(site_packages_, others).status());
    record_.size_bytes = DiskUsage(root_);
    const base::UniqueFd directory(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid() || syncfs(directory.get()) != 0) {
      return FromErrno(errno, "cannot flush " + root_);
    }
    record_.path = venv_;
    CAUDAL_TRY(job_.disk.Write(record_));
    return record_;
  }

  Result<process::Exit> Execute(const std::vector<std::string>& words,
                                const std::function<void(std::string_view)>& on_output) const {
    const process::Command command = MakeCommand(words);
    if (!options().sandbox) return process::RunBlocking(command, on_output, kTimeout);
    return sandbox::RunBlocking(MakeView(), command, on_output, kTimeout);
  }

  /// What the operator named is shown, but no file that a pipeline names.
  sandbox::ViewSpec MakeView() const {
    sandbox::ViewSpec view;
    view.hidden = options().hidden;
    const auto show = [&](const std::string& path, bool writable) {
      view.binds.push_back({.source = path, .target = path, .writable = writable});
    };
    const std::string& prefix = record_.interpreter.prefix;
    if (prefix.starts_with('/') && prefix != "/usr") show(prefix, false);
    if (!job_.installer.uv.empty()) show(job_.installer.uv, false);
    for (const std::string& path : PathsIn(job_.installer.settings)) show(path, false);
    const std::string package = PathOf(record_.kfp_package);
    if (!package.empty() && IsPackage(package)) {
      // Pip builds where the source lies.
      std::error_code ignored;
      const bool is_source = std::filesystem::is_directory(package, ignored);
      const auto kind = is_source ? sandbox::Bind::Kind::kOverlay : sandbox::Bind::Kind::kBind;
      view.binds.push_back({kind, package, package, is_source});
    }
    view.binds.insert(view.binds.end(), options().binds.begin(), options().binds.end());
    show(scratch_, true);
    show(venv_, true);
    return view;
  }

  process::Command MakeCommand(const std::vector<std::string>& words) const {
    process::Command command;
    command.argv = words;
    command.uid = build_uid_;
    command.working_directory = scratch_;
    command.env = {"PATH=" + venv_ + "/bin:/usr/local/bin:/usr/bin:/bin",
                   "HOME=" + (own_home_ ? Variable("HOME") : scratch_), "TMPDIR=" + scratch_,
                   "LC_ALL=C.UTF-8", "PYTHONNOUSERSITE=1"};
    for (std::string& variable : job_.installer.Env(scratch_, own_home_)) {
      command.env.push_back(std::move(variable));
    }
    return command;
  }

  /// Nothing is imported unless the step runs where the mount points cannot be real.
  Status WriteBootstrap() const {
    const std::string stem = site_packages_ + "/caudal_mounts";
    CAUDAL_TRY(base::WriteFileAtomic(stem + ".py", kMountsModule, 0644));
    return base::WriteFileAtomic(
        stem + ".pth",
        "import os; 'CAUDAL_MOUNT_ROOT' in os.environ and __import__('caudal_mounts')\n", 0644);
  }

  const Options& options() const { return job_.options; }

  const BuildJob job_;
  Record record_;
  Output output_;
  const std::string root_;
  const std::string venv_;
  const std::string site_packages_;
  const std::string scratch_;
  int build_uid_ = -1;
  bool own_home_ = false;
};

}  // namespace

std::vector<PipCall> WithKfpPackage(std::vector<PipCall> calls, const std::string& kfp_package) {
  if (kfp_package.empty()) return calls;
  for (PipCall& call : calls) {
    std::replace_if(call.packages.begin(), call.packages.end(), IsKfpRequirement, kfp_package);
  }
  return calls;
}

Status CheckKfpPackage(const std::string& kfp_package) {
  const bool is_bad =
      kfp_package.starts_with('-') || kfp_package.find_first_of("\r\n") != std::string::npos;
  if (!is_bad) return {};
  return base::InvalidArgument("kfp package '" + kfp_package +
                               "' is no requirement; use one such as 'kfp==2.9.0', a URL, or the "
                               "absolute path of a wheel or source folder");
}

std::string SitePackages(const std::string& venv, const Interpreter& interpreter) {
  return venv + "/lib/python" + interpreter.version.substr(0, interpreter.version.rfind('.')) +
         "/site-packages";
}

Result<Record> Build(BuildJob job) {
  base::LogInfo("building environment " + job.record.id());
  const std::string root = job.disk.Root(job.record.id());
  auto built = Builder(std::move(job)).Run();
  if (!built.ok()) {
    const Status removed = base::RemoveTree(root);
    if (!removed.ok()) return Status(built.status()).With(removed.message());
  }
  return built;
}

}  // namespace caudal::pyenv::internal
