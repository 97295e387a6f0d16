#include "async/pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <future>

namespace caudal::async {
namespace {

TEST(Pool, DrainsWhatWaits) {
  Pool pool("test", 2);
  std::atomic<int> done = 0;
  for (int i = 0; i < 1000; ++i) pool.Post([&] { ++done; });
  pool.Stop(Leftovers::kDrain);
  EXPECT_EQ(done, 1000);
}

TEST(Pool, DropsWhatWaitsAndEndsWhatRuns) {
  Pool pool("test", 1);
  std::promise<void> running;
  std::promise<void> release;
  std::atomic<bool> ended = false;
  std::atomic<bool> second_ran = false;
  pool.Post([&] {
    running.set_value();
    release.get_future().wait();
    ended = true;
  });
  pool.Post([&] { second_ran = true; });
  running.get_future().wait();

  std::thread stopper([&] { pool.Stop(Leftovers::kDrop); });
  while (pool.Post([] {})) std::this_thread::yield();  // until Stop has begun
  release.set_value();
  stopper.join();

  EXPECT_TRUE(ended);
  EXPECT_FALSE(second_ran);
}

TEST(Pool, RefusesWorkAfterStop) {
  Pool pool("test", 1);
  pool.Stop(Leftovers::kDrain);
  EXPECT_FALSE(pool.Post([] { FAIL(); }));
  pool.Stop(Leftovers::kDrop);
}

TEST(Pool, RunsAsManyAtOnceAsItHasThreads) {
  Pool pool("test", 3);
  std::atomic<int> inside = 0;
  std::array<std::promise<void>, 3> done;
  for (auto& promise : done) {
    pool.Post([&] {
      ++inside;
      while (inside < 3) std::this_thread::yield();  // only ends when all three run together
      promise.set_value();
    });
  }
  for (auto& promise : done) promise.get_future().wait();
  EXPECT_EQ(inside, 3);
}

TEST(Pool, NamesItsThreads) {
  Pool pool("long-pool-name", 1);
  std::promise<std::string> name;
  pool.Post([&] {
    char text[32] = {};
    // The creator names the thread, possibly after it has begun to run.
    do {
      pthread_getname_np(pthread_self(), text, sizeof text);
    } while (std::string(text).find('-') == std::string::npos);
    name.set_value(text);
  });
  EXPECT_EQ(name.get_future().get(), "long-pool-na-0");
}

}  // namespace
}  // namespace caudal::async
