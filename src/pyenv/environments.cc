#include <condition_variable>
#include <mutex>
#include <set>

#include "pyenv/internal/build.h"
#include "pyenv/internal/interpreter.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv {

using base::Result;
using base::Status;

struct Environments::Impl {
  /// One build and those who wait for it, who share its end whatever it is.
  struct Flight {
    bool is_over = false;
    Result<Environment> result;
  };

  explicit Impl(Options given) : options(std::move(given)) {}

  Result<Interpreter> FindDefault() {
    std::string reasons;
    for (const std::string& program : internal::Candidates("python3")) {
      auto found = internal::Probe(program);
      if (found.ok()) return found;
      reasons += "\n" + found.status().message();
    }
    return base::FailedPrecondition(
        "this machine has no usable Python 3; install python3 and python3-venv" + reasons);
  }

  /// Probed once each: a Python costs some ten milliseconds to ask.
  Result<Interpreter> Find(const std::string& version) {
    const std::lock_guard<std::mutex> lock(interpreters_mutex);
    const auto [at, is_new] = interpreters.try_emplace(version);
    if (is_new) at->second = version.empty() ? FindDefault() : FindVersion(version);
    return at->second;
  }

  static Result<Interpreter> FindVersion(const std::string& version) {
    Status why = base::FailedPrecondition("this machine has no Python " + version);
    for (const std::string& program : internal::Candidates("python" + version)) {
      auto found = internal::Probe(program);
      if (found.ok() && found->version.starts_with(version + ".")) return found;
      if (!found.ok()) why = found.status();
    }
    return why;
  }

  const Options options;
  const Settings settings = internal::SettingsFromEnvironment();
  std::mutex interpreters_mutex;
  std::map<std::string, Result<Interpreter>> interpreters;  // by "3.9"; "" is the default
  std::mutex mutex;
  std::condition_variable ended;
  std::map<std::string, std::shared_ptr<Flight>> flights;  // shared by builder and waiters
};

Environments::Environments(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Environments::~Environments() = default;

Result<Interpreter> Environments::ForImage(const std::string& image, std::string* note) {
  note->clear();
  const std::string version = internal::PythonVersionOf(image);
  Status why = base::FailedPrecondition("images are only used by container isolation");
  if (!version.empty()) {
    auto exact = impl_->Find(version);
    if (exact.ok()) return exact;
    why = exact.status();
  }
  auto found = impl_->Find("");
  if (found.ok() && !image.empty()) {
    *note = "image '" + image + "' stood in for by " + found->path + " (Python " + found->version +
            "): " + why.message();
  }
  return found;
}

Result<Environment> Environments::Get(const Interpreter& interpreter,
                                      const std::vector<PipCall>& calls,
                                      const std::function<void(std::string_view)>& progress) {
  const Options& options = impl_->options;
  const std::vector<PipCall> wanted = internal::WithKfpPackage(calls, options.kfp_package);
  const std::string key = EnvironmentKey(interpreter, wanted, impl_->settings);
  auto finished = internal::FindFinished(options, key, interpreter);
  if (finished.ok()) return finished;

  std::unique_lock<std::mutex> lock(impl_->mutex);
  const auto [at, is_first] = impl_->flights.try_emplace(key);
  if (!is_first) {
    const std::shared_ptr<Impl::Flight> flight = at->second;
    impl_->ended.wait(lock, [&] { return flight->is_over; });
    return flight->result;
  }
  const auto flight = at->second = std::make_shared<Impl::Flight>();
  lock.unlock();
  flight->result = internal::Build(options, key, interpreter, wanted, impl_->settings, progress);
  lock.lock();
  flight->is_over = true;
  impl_->flights.erase(key);
  impl_->ended.notify_all();
  return flight->result;
}

}  // namespace caudal::pyenv
