#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/internal/server.h"

namespace caudal::supervisor {
namespace {

/// Held by the one supervisor of a data directory for as long as it lives.
base::Result<base::UniqueFd> Lock(const std::string& data_dir) {
  const std::string path = data_dir + "/work/supervisor.lock";
  base::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return base::FromErrno(errno, "cannot open " + path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return base::AlreadyExists("another supervisor holds " + path);
    return base::FromErrno(errno, "cannot lock " + path);
  }
  return fd;
}

base::Status Serve(const Options& options) {
  CAUDAL_TRY(base::MakeDirs(options.data_dir + "/work"));
  CAUDAL_ASSIGN(const base::UniqueFd lock, Lock(options.data_dir));
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  umask(077);
  // What outlives its keeper becomes ours, and is ended.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return base::FromErrno(errno, "cannot become the parent of orphans");
  }
  internal::Server server(options);
  return server.Run();
}

}  // namespace

int Run(const Options& options) {
  const base::Status served = Serve(options);
  if (served.ok()) return 0;
  base::LogError("supervisor: " + served.message());
  return served.code() == base::Code::kAlreadyExists ? 3 : 1;
}

}  // namespace caudal::supervisor
