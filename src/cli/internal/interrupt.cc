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

// A wrapper and its terminal may both pass one Ctrl-C on.
constexpr milliseconds kSameInterrupt{100};
// Whoever sends SIGTERM (a job runner, `timeout`) wants us gone, however the server is.
constexpr milliseconds kTerminateWithin{20'000};
constexpr int kInterrupted = 130;

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

InterruptWatch::InterruptWatch(InterruptActions actions) : actions_(std::move(actions)) {
  const sigset_t set = Signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_.Reset(signalfd(-1, &set, SFD_CLOEXEC));
  stop_.Reset(eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { Run(); });
}

InterruptWatch::~InterruptWatch() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
  const sigset_t set = Signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void InterruptWatch::Leave(int code) {
  actions_.before_leaving();
  _exit(code);
}

void InterruptWatch::Take(int signal) {
  if (signal == SIGTSTP) {
    actions_.before_leaving();
    kill(getpid(), SIGSTOP);  // returns when somebody lets us go on
    actions_.on_continue();
  } else if (signal == SIGINT || signal == SIGTERM) {
    const int count = ++count_;
    actions_.on_interrupt(count);
    if (count >= kLast) Leave(kInterrupted);
  } else {
    Leave(128 + signal);
  }
}

void InterruptWatch::Run() {
  pollfd watched[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  steady_clock::time_point last = steady_clock::now() - kSameInterrupt;
  steady_clock::time_point deadline = steady_clock::time_point::max();
  while (true) {
    poll(watched, 2, deadline == steady_clock::time_point::max() ? -1 : 1000);
    if ((watched[1].revents & POLLIN) != 0) return;
    const auto now = steady_clock::now();
    if (now >= deadline) Leave(kInterrupted);
    if ((watched[0].revents & POLLIN) == 0) continue;
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGTERM) deadline = std::min(deadline, now + kTerminateWithin);
    if (signal == SIGINT || signal == SIGTERM) {
      if (now - last < kSameInterrupt) continue;
      last = now;
    }
    Take(signal);
  }
}

}  // namespace caudal::cli
