#pragma once

/// The processes behind `compiler.h`, and the bytes between us and them.

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/file.h"
#include "base/status.h"

namespace caudal::cli::internal {

/// Where the compilers of a data directory listen: `<data_dir>/compile`, ours alone.
class CompilerDir {
 public:
  /// Errors: kPermissionDenied when the directory belongs to somebody else, by errno.
  static base::Result<CompilerDir> Open(const std::string& data_dir, bool make);

  /// A connection to the compiler with this key; one is started where none listens. It answers when
  /// it has imported the SDK, or hangs up when it cannot. Errors: by errno.
  base::Result<base::UniqueFd> Connect(const std::string& key, const std::string& python) const;
  /// nullopt when nobody of ours listens.
  std::optional<base::UniqueFd> ConnectIfRunning(const std::string& socket_name) const;

  const std::string& path() const { return path_; }

 private:
  CompilerDir(std::string path, base::UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  base::Result<base::UniqueFd> Start(const std::string& name, const std::string& python) const;
  std::string AddressOf(const std::string& name) const;

  std::string path_;
  base::UniqueFd fd_;  // the name may be longer than a socket address allows
};

/// What tells one compiler from another: interpreter, script, and what of our surroundings decides
/// which modules it finds.
std::string CompilerKey(const std::string& python);

/// A compiler for one request, our child.
struct OneShot {
  pid_t pid = 0;
  base::UniqueFd connection;
};
base::Result<OneShot> StartOneShot(const std::string& python);

/// Sends a request with our environment and standard error.
base::Status SendRequest(int connection, const std::string& json);

enum class Answered { kAnswer, kNothing, kHungUp };
/// Waits for the byte that says somebody works on the request; kNothing after `timeout_millis`.
Answered AwaitHello(int connection, int timeout_millis);
/// Waits for the answer as long as it takes; kHungUp when the other end is gone.
Answered AwaitAnswer(int connection, std::string* json);

}  // namespace caudal::cli::internal
