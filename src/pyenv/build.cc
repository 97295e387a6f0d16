#include "pyenv/internal/build.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <sstream>

#include "base/file.h"
#include "process/process.h"
#include "pyenv/caudal_mounts.h"
#include "pyenv/internal/interpreter.h"
#include "sandbox/sandbox.h"

namespace caudal::pyenv::internal {
namespace {

using base::FailedPrecondition;
using base::FromErrno;
using base::Result;
using base::Status;

constexpr std::chrono::minutes kTimeout(30);

constexpr std::array<const char*, 18> kPipVariables = {
    "PIP_INDEX_URL",      "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS",
    "PIP_CONSTRAINT",     "PIP_NO_INDEX",        "PIP_PRE",
    "PIP_NO_BINARY",      "PIP_ONLY_BINARY",     "PIP_CERT",
    "PIP_CONFIG_FILE",    "PIP_TRUSTED_HOST",    "PIP_PROXY",
    "PIP_RETRIES",        "UV_INDEX_URL",        "PIP_DEFAULT_TIMEOUT",
    "UV_EXTRA_INDEX_URL", "UV_CONSTRAINT",       "UV_FIND_LINKS"};
constexpr std::array<const char*, 10> kNetworkVariables = {
    "http_proxy",  "https_proxy", "no_proxy",      "all_proxy",          "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY",    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The user's own settings: where pip looks for them first.
std::string ReadPipConfig() {
  const std::string home = Variable("HOME");
  const std::string config = Variable("XDG_CONFIG_HOME");
  for (const std::string& path :
       {(config.empty() ? home + "/.config" : config) + "/pip/pip.conf", home + "/.pip/pip.conf"}) {
    constexpr int64_t kMaxBytes = 1 << 20;
    auto text = base::ReadFile(path, kMaxBytes);
    if (text.ok()) return *std::move(text);
  }
  return "";
}

/// Passes pip's words on line by line, without secrets, and remembers the last ones.
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
    const std::string shown = MaskSecrets(line);
    if (progress_) progress_(shown + "\n");
    lines_.push_back(shown);
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

Status GiveTree(const std::string& root, int uid) {
  const auto id = static_cast<uid_t>(uid);
  char* const roots[] = {const_cast<char*>(root.c_str()), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), fts_close);
  if (walk == nullptr) return FromErrno(errno, "cannot walk " + root);
  while (const FTSENT* entry = fts_read(walk.get())) {
    if (entry->fts_info == FTS_DP) continue;
    if (lchown(entry->fts_accpath, id, id) != 0) {
      return FromErrno(errno, std::string("cannot give away ") + entry->fts_path);
    }
  }
  return {};
}

/// One build, under the lock.
class Builder {
 public:
  Builder(const Options& options, Environment environment, const Settings& settings,
          const std::function<void(std::string_view)>& progress)
      : options_(options),
        environment_(std::move(environment)),
        settings_(settings),
        output_(progress),
        root_(std::filesystem::path(environment_.path).parent_path().string()),
        scratch_(root_ + "/scratch") {}

  Result<Environment> Run(const std::vector<PipCall>& calls) {
    CAUDAL_TRY(Prepare());
    CAUDAL_TRY(Do("make a virtual environment",
                  {environment_.interpreter.path, "-m", "venv", environment_.path}));
    // Before any package could put a link in our way: what we write, we write as ourselves.
    CAUDAL_TRY(WriteBootstrap());
    for (const PipCall& call : calls) CAUDAL_TRY(Install(call));
    CAUDAL_TRY(Freeze());
    CAUDAL_TRY(base::RemoveTree(scratch_));
    if (options_.owner_uid >= 0) CAUDAL_TRY(GiveTree(environment_.path, options_.owner_uid));
    const std::string marker = root_ + "/complete";
    CAUDAL_TRY(base::WriteFileAtomic(marker, environment_.lock, 0644));
    return environment_;
  }

 private:
  /// `root_` stays the server's alone: what marks the environment as complete lies there.
  Status Prepare() {
    CAUDAL_TRY(base::RemoveTree(root_));
    for (const std::string& path : {root_, scratch_, environment_.path}) {
      CAUDAL_TRY(base::MakeDirs(path, 0755));
    }
    if (options_.owner_uid >= 0 && !options_.sandbox) ChooseUid();
    own_home_ = build_uid_ < 0 && !options_.sandbox && !Variable("HOME").empty();
    const auto config = settings_.find(kPipConfig);
    if (!own_home_ && config != settings_.end()) {
      // Without a home of its own, where pip would find this; it goes with the scratch.
      CAUDAL_TRY(base::MakeDirs(scratch_ + "/.config/pip"));
      CAUDAL_TRY(base::WriteFileAtomic(scratch_ + "/.config/pip/pip.conf", config->second));
    }
    if (options_.owner_uid < 0) return {};
    CAUDAL_TRY(GiveTree(scratch_, options_.owner_uid));
    return GiveTree(environment_.path, options_.owner_uid);
  }

  /// Without a sandbox: the other user, where that one gets at its files.
  void ChooseUid() {
    const bool reaches = CanReach(options_.owner_uid, root_) &&
                         CanReach(options_.owner_uid, environment_.interpreter.path);
    build_uid_ = reaches ? options_.owner_uid : -1;
    if (reaches) return;
    output_.Add("note: user " + std::to_string(options_.owner_uid) + " cannot enter " + root_ +
                " or " + environment_.interpreter.path + "; building as the server's user\n");
  }

  Status Install(const PipCall& call) {
    std::vector<std::string> words = {environment_.path + "/bin/python",
                                      "-m",
                                      "pip",
                                      "install",
                                      "--no-input",
                                      "--disable-pip-version-check",
                                      "--no-warn-script-location"};
    words.insert(words.end(), call.options.begin(), call.options.end());
    words.insert(words.end(), call.packages.begin(), call.packages.end());
    std::string what = "install";
    for (const std::string& package : call.packages) what += " '" + package + "'";
    return Do(what, words);
  }

  Status Do(const std::string& what, const std::vector<std::string>& words) {
    const auto exit = Execute(words, [&](std::string_view text) { output_.Add(text); });
    const std::string failed =
        "cannot " + MaskSecrets(what) + " for Python " + environment_.interpreter.version;
    if (!exit.ok())
      return Status(exit.status()).With(failed).WithCode(base::Code::kFailedPrecondition);
    if (exit->ok()) return {};
    const std::string how = exit->signal != 0 ? "signal " + std::to_string(exit->signal)
                                              : "exit code " + std::to_string(exit->code);
    return FailedPrecondition(failed + " (" + how + "):" + output_.LastLines());
  }

  Status Freeze() {
    constexpr size_t kMaxLock = 1 << 20;
    const auto exit = Execute(
        {environment_.path + "/bin/python", "-m", "pip", "freeze", "--disable-pip-version-check"},
        [&](std::string_view text) {
          environment_.lock += text.substr(0, kMaxLock - environment_.lock.size());
        });
    if (!exit.ok()) return exit.status();
    environment_.lock = MaskSecrets(environment_.lock);
    return exit->ok() ? Status() : FailedPrecondition("pip freeze failed:\n" + environment_.lock);
  }

  Result<process::Exit> Execute(const std::vector<std::string>& words,
                                const std::function<void(std::string_view)>& on_output) const {
    const process::Command command = MakeCommand(words);
    if (!options_.sandbox) return process::RunBlocking(command, on_output, kTimeout);
    return sandbox::RunBlocking(MakeView(), command, on_output, kTimeout);
  }

  /// What the operator named is shown, but no file that a pipeline names.
  sandbox::ViewSpec MakeView() const {
    sandbox::ViewSpec view;
    view.hidden = options_.hidden;
    const auto show = [&](const std::string& path, bool writable) {
      view.binds.push_back({.source = path, .target = path, .writable = writable});
    };
    if (environment_.interpreter.prefix.starts_with('/') &&
        environment_.interpreter.prefix != "/usr") {
      show(environment_.interpreter.prefix, false);
    }
    std::vector<std::string> named = {options_.kfp_package};
    for (const auto& [name, value] : settings_) {
      if (name == kPipConfig) continue;
      std::istringstream words(value);
      for (std::string word; words >> word;) named.push_back(word);
    }
    for (std::string& path : named) {
      if (path.starts_with("file://")) path.erase(0, 7);
      const bool is_path = path.starts_with('/') && path.size() > 1 && !path.starts_with("/dev/");
      if (!is_path || !base::PathExists(path)) continue;
      // Pip builds where the source lies.
      const bool is_source = path == options_.kfp_package && std::filesystem::is_directory(path);
      const auto kind = is_source ? sandbox::Bind::Kind::kOverlay : sandbox::Bind::Kind::kBind;
      view.binds.push_back({kind, path, path, is_source});
    }
    view.binds.insert(view.binds.end(), options_.binds.begin(), options_.binds.end());
    show(scratch_, true);
    show(environment_.path, true);
    return view;
  }

  process::Command MakeCommand(const std::vector<std::string>& words) const {
    process::Command command;
    command.argv = words;
    command.uid = build_uid_;
    command.working_directory = scratch_;
    command.env = {"PATH=" + environment_.path + "/bin:/usr/local/bin:/usr/bin:/bin",
                   "HOME=" + (own_home_ ? Variable("HOME") : scratch_), "TMPDIR=" + scratch_,
                   "LC_ALL=C.UTF-8", "PYTHONNOUSERSITE=1"};
    for (const auto& [name, value] : settings_) {
      if (name != kPipConfig) command.env.push_back(name + "=" + value);
    }
    return command;
  }

  /// Nothing is imported unless the step runs where the mount points cannot be real.
  Status WriteBootstrap() const {
    const std::string stem = environment_.site_packages + "/caudal_mounts";
    CAUDAL_TRY(base::WriteFileAtomic(stem + ".py", kMountsModule, 0644));
    return base::WriteFileAtomic(
        stem + ".pth",
        "import os; 'CAUDAL_MOUNT_ROOT' in os.environ and __import__('caudal_mounts')\n", 0644);
  }

  const Options& options_;
  Environment environment_;
  const Settings& settings_;
  Output output_;
  const std::string root_;
  const std::string scratch_;
  int build_uid_ = -1;
  bool own_home_ = false;
};

}  // namespace

Settings SettingsFromEnvironment() {
  Settings settings;
  const auto add = [&](const char* name) {
    if (std::getenv(name) != nullptr) settings[name] = Variable(name);
  };
  std::for_each(kPipVariables.begin(), kPipVariables.end(), add);
  std::for_each(kNetworkVariables.begin(), kNetworkVariables.end(), add);
  const std::string config = ReadPipConfig();
  if (!config.empty()) settings[kPipConfig] = config;
  return settings;
}

std::vector<PipCall> WithKfpPackage(std::vector<PipCall> calls, const std::string& kfp_package) {
  if (kfp_package.empty()) return calls;
  for (PipCall& call : calls) {
    std::replace_if(call.packages.begin(), call.packages.end(), IsKfpRequirement, kfp_package);
  }
  return calls;
}

std::string MaskSecrets(std::string_view text) {
  std::string masked;
  while (true) {
    const size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) return masked.append(text);
    masked += text.substr(0, scheme + 3);
    text.remove_prefix(scheme + 3);
    const std::string_view authority = text.substr(0, text.find_first_of("/ \t\r\n\"'<>"));
    const size_t at = authority.rfind('@');
    if (at == std::string_view::npos) continue;
    masked += "***";
    text.remove_prefix(at);
  }
}

Environment Locate(const Options& options, const std::string& key, const Interpreter& interpreter) {
  Environment environment;
  environment.key = key;
  environment.path = options.envs_dir + "/" + key + "/venv";
  environment.site_packages = environment.path + "/lib/python" +
                              interpreter.version.substr(0, interpreter.version.rfind('.')) +
                              "/site-packages";
  environment.interpreter = interpreter;
  return environment;
}

Result<Environment> FindFinished(const Options& options, const std::string& key,
                                 const Interpreter& interpreter) {
  Environment environment = Locate(options, key, interpreter);
  CAUDAL_ASSIGN(environment.lock, base::ReadFile(options.envs_dir + "/" + key + "/complete"));
  return environment;
}

Result<Environment> Build(const Options& options, const std::string& key,
                          const Interpreter& interpreter, const std::vector<PipCall>& calls,
                          const Settings& settings,
                          const std::function<void(std::string_view)>& progress) {
  CAUDAL_TRY(base::MakeDirs(options.envs_dir, 0755));
  const std::string lock_path = options.envs_dir + "/" + key + ".lock";
  const base::UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return FromErrno(errno, "cannot open " + lock_path);
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return FromErrno(errno, "cannot lock " + lock_path);
  }
  auto finished = FindFinished(options, key, interpreter);
  if (finished.ok()) return finished;
  auto built = Builder(options, Locate(options, key, interpreter), settings, progress).Run(calls);
  if (!built.ok()) {
    const Status removed = base::RemoveTree(options.envs_dir + "/" + key);
    if (!removed.ok()) return Status(built.status()).With(removed.message());
  }
  return built;
}

}  // namespace caudal::pyenv::internal
