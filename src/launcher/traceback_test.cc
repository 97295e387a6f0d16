#include "launcher/internal/traceback.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"

namespace caudal::launcher::internal {
namespace {

constexpr char kCases[] = "tests/conformance/traceback";

// `NAME.log` is the end of a step's log, `NAME.want` what is read from it.
class TracebackCase : public testing::Test {
 public:
  explicit TracebackCase(std::string name) : path_(std::string(kCases) + "/" + std::move(name)) {}

  void TestBody() override {
    const auto log = base::ReadFile(path_ + ".log");
    ASSERT_TRUE(log.ok()) << log.status().message();
    const auto found = FindTraceback(*log, {"python3", "--function_to_execute", "train"});
    const std::string got = found ? "exception: " + found->exception() +
                                        "\nfunction: " + found->function() +
                                        "\nline: " + std::to_string(found->line()) + "\n"
                                  : "none\n";
    if (std::getenv("CAUDAL_UPDATE") != nullptr) {
      ASSERT_TRUE(base::WriteFileAtomic(path_ + ".want", got, 0644).ok());
      return;
    }
    const auto want = base::ReadFile(path_ + ".want");
    ASSERT_TRUE(want.ok()) << want.status().message();
    EXPECT_EQ(got, *want) << path_;
  }

 private:
  std::string path_;
};

const bool kRegistered = [] {
  const auto names = base::ListDir(kCases);
  if (!names.ok()) return false;
  for (const std::string& file : *names) {
    if (!file.ends_with(".log")) continue;
    const std::string name = file.substr(0, file.size() - 4);
    testing::RegisterTest("Traceback", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [name]() -> testing::Test* { return new TracebackCase(name); });
  }
  return true;
}();

TEST(FindTraceback, HasCases) {
  EXPECT_TRUE(kRegistered) << "run from the top of the source tree: " << kCases << " is not there";
}

TEST(FindTraceback, TakesTheFunctionFromEitherFormOfTheFlag) {
  const std::string log = "Traceback (most recent call last):\nKeyError: 'a'\n";
  EXPECT_EQ(FindTraceback(log, {"--function_to_execute=fit"})->function(), "fit");
  EXPECT_EQ(FindTraceback(log, {"--function_to_execute"})->function(), "");
  EXPECT_EQ(FindTraceback(log, {})->function(), "");
}

TEST(FindTraceback, SurvivesAnyBytes) {
  EXPECT_FALSE(FindTraceback("", {}));
  EXPECT_FALSE(FindTraceback("\033[", {}));
  const std::string log = "Traceback (most recent call last):\n";
  EXPECT_FALSE(FindTraceback(log, {}));
  EXPECT_EQ(FindTraceback(log + "ValueError: \xff\xfe", {})->exception(),
            "ValueError: \xef\xbf\xbd\xef\xbf\xbd");
  const std::string lengthy(5000, 'x');
  EXPECT_LT(FindTraceback(log + lengthy, {})->exception().size(), 1100u);
}

TEST(FindTraceback, AnOldOneIsNotTheEnd) {
  std::string log = "Traceback (most recent call last):\nValueError: caught and logged\n";
  for (int epoch = 0; epoch < 60; ++epoch) log += "epoch\n";
  EXPECT_FALSE(FindTraceback(log, {}));
}

}  // namespace
}  // namespace caudal::launcher::internal
