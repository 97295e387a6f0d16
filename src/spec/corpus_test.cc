// Loads and plans real compiled pipelines, where they are at hand.

#include <gtest/gtest.h>

#include "base/file.h"
#include "spec/package.h"
#include "spec/plan.h"

namespace caudal::spec {
namespace {

constexpr char kFolder[] = "../shared/corpus/pipelines";

class Corpus : public testing::Test {
 protected:
  void SetUp() override {
    const auto names = base::ListDir(kFolder);
    if (!names.ok()) GTEST_SKIP() << "no compiled pipelines in " << kFolder;
    names_ = *names;
  }

  static base::Result<std::shared_ptr<const Plan>> PlanOf(const std::string& name) {
    CAUDAL_ASSIGN(const std::string text, base::ReadFile(std::string(kFolder) + "/" + name));
    CAUDAL_ASSIGN(Package package, LoadPackage(text));
    return MakePlan(std::move(package));
  }

  std::vector<std::string> names_;
};

TEST_F(Corpus, EveryPipelineIsPlannedExceptTheMisspeltOne) {
  EXPECT_GE(names_.size(), 58u);
  for (const std::string& name : names_) {
    const auto plan = PlanOf(name);
    if (name == "invalid_yaml.yaml") {
      EXPECT_EQ(plan.status().message(), "components_1: unknown field, did you mean 'components'");
    } else {
      EXPECT_TRUE(plan.ok()) << name << ":\n" << plan.status().message();
    }
  }
}

TEST_F(Corpus, StoredTextReadsBackAsTheSamePackage) {
  for (const std::string& name : names_) {
    const auto text = base::ReadFile(std::string(kFolder) + "/" + name);
    ASSERT_TRUE(text.ok());
    const auto package = LoadPackage(*text);
    if (!package.ok()) continue;
    const std::string stored = StoredText(*package);
    const auto again = LoadPackage(stored);
    ASSERT_TRUE(again.ok()) << name << ": " << again.status().message();
    EXPECT_EQ(StoredText(*again), stored) << name;
    const auto from_struct = LoadPackage(package->as_struct);
    ASSERT_TRUE(from_struct.ok()) << name << ": " << from_struct.status().message();
    EXPECT_EQ(StoredText(*from_struct), stored) << name;
  }
}

}  // namespace
}  // namespace caudal::spec
