#include "cli/internal/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace caudal::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kGiveUpAt = 4;
// A wrapper and its terminal may both pass one Ctrl-C on.
constexpr milliseconds kSameInterrupt{100};
// Whoever sends SIGTERM (a job runner, `timeout`) wants us gone, however the server is.
constexpr milliseconds kTerminateWithin{20'000};

sigset_t Interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

InterruptWatch::InterruptWatch(std::function<void(int)> on_interrupt)
    : on_interrupt_(std::move(on_interrupt)) {
  const sigset_t set = Interrupts();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_.Reset(signalfd(-1, &set, SFD_CLOEXEC));
  stop_.Reset(eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { Run(); });
}

InterruptWatch::~InterruptWatch() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
  const sigset_t set = Interrupts();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void InterruptWatch::Run() {
  pollfd watched[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  steady_clock::time_point last = steady_clock::now() - kSameInterrupt;
  steady_clock::time_point deadline = steady_clock::time_point::max();
  while (true) {
    poll(watched, 2, deadline == steady_clock::time_point::max() ? -1 : 1000);
    if ((watched[1].revents & POLLIN) != 0) return;
    const auto now = steady_clock::now();
    if (now >= deadline) _exit(130);
    if ((watched[0].revents & POLLIN) == 0) continue;
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGTERM) deadline = std::min(deadline, now + kTerminateWithin);
    if (now - last < kSameInterrupt) continue;
    last = now;
    const int count = ++count_;
    if (count >= kGiveUpAt) _exit(130);
    on_interrupt_(count);
  }
}

}  // namespace caudal::cli
