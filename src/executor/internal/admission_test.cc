#include "executor/internal/admission.h"

#include <gtest/gtest.h>

namespace caudal::executor::internal {
namespace {

using Keys = std::vector<int64_t>;
constexpr int64_t kGiB = 1LL << 30;

TEST(Admission, AdmitsInOrderOfArrivalUpToTheMachine) {
  Admission admission({2000, 4 * kGiB});
  for (int64_t key = 1; key <= 4; ++key) admission.Enqueue(key, {1000, kGiB});
  EXPECT_EQ(admission.Admit(), (Keys{1, 2}));
  EXPECT_EQ(admission.Admit(), Keys{});
  admission.Release(1);
  EXPECT_EQ(admission.Admit(), Keys{3});
}

TEST(Admission, SmallOnesPassALargeOneOnlySoOften) {
  Admission admission({2000, 4 * kGiB});
  admission.Enqueue(1, {1000, kGiB});
  admission.Enqueue(2, {2000, kGiB});
  for (int64_t key = 3; key < 100; ++key) admission.Enqueue(key, {1000, kGiB});
  Keys running = admission.Admit();
  int64_t passed = 0;
  while (running.size() > 1 || running.front() != 2) {
    ASSERT_FALSE(running.empty());
    admission.Release(running.back());
    if (running.back() != 1) ++passed;
    running.pop_back();
    for (const int64_t key : admission.Admit()) running.push_back(key);
    if (running == Keys{1}) admission.Release(1), running = admission.Admit();
  }
  EXPECT_EQ(passed, Admission::kMaxBypasses);
  EXPECT_EQ(running, Keys{2});
}

TEST(Admission, ReleasedWhileWaitingNeverStarts) {
  Admission admission({1000, kGiB});
  for (int64_t key = 1; key <= 3; ++key) admission.Enqueue(key, {1000, kGiB});
  EXPECT_EQ(admission.Admit(), Keys{1});
  admission.Release(2);
  admission.Release(1);
  EXPECT_EQ(admission.Admit(), Keys{3});
}

TEST(Admission, OccupiedSharesCountEvenBeyondTheMachine) {
  Admission admission({1000, kGiB});
  admission.Occupy(1, {1000, kGiB});
  admission.Occupy(2, {1000, kGiB});
  admission.Enqueue(3, {1000, kGiB});
  admission.Release(1);
  EXPECT_EQ(admission.Admit(), Keys{});
  admission.Release(2);
  EXPECT_EQ(admission.Admit(), Keys{3});
}

TEST(Admission, LimitCountsWhereNoRequestIsGiven) {
  const Admission admission({4000, 8 * kGiB});
  std::string note;
  v1::Resources resources;
  EXPECT_EQ(admission.ShareOf(resources, &note), (Share{1000, 256LL << 20}));
  resources.set_cpu_limit_milli(500);
  resources.set_memory_request_bytes(kGiB);
  resources.set_memory_limit_bytes(2 * kGiB);
  EXPECT_EQ(admission.ShareOf(resources, &note), (Share{500, kGiB}));
  EXPECT_EQ(note, "");
}

TEST(Admission, SaysWhatAShareWaitsFor) {
  Admission admission({2000, 4 * kGiB});
  admission.Occupy(1, {1000, 3 * kGiB});
  EXPECT_EQ(admission.WhyWaiting({1000, 2 * kGiB}), "waiting for memory");
  EXPECT_EQ(admission.WhyWaiting({2000, kGiB}), "waiting for a core");
}

TEST(Admission, TooLargeARequestRunsAloneAndSaysSo) {
  Admission admission({2000, 4 * kGiB});
  std::string note;
  v1::Resources resources;
  resources.set_cpu_request_milli(8500);
  const Share share = admission.ShareOf(resources, &note);
  EXPECT_EQ(note,
            "asks for 8.5 cores and 256 MiB, more than the 2 cores and 4096 MiB that steps may use "
            "here: it runs alone");
  admission.Enqueue(1, share);
  admission.Enqueue(2, {1, 1});
  EXPECT_EQ(admission.Admit(), Keys{1});
}

}  // namespace
}  // namespace caudal::executor::internal
