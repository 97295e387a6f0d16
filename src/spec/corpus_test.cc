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

  static base::Status CheckRunnable(const std::string& name) {
    CAUDAL_ASSIGN(const std::string text, base::ReadFile(std::string(kFolder) + "/" + name));
    CAUDAL_ASSIGN(Package package, LoadPackage(text));
    CAUDAL_ASSIGN(const auto plan, MakePlan(std::move(package)));
    return base::FaultsToStatus(FindUnsupported(*plan));
  }

  std::vector<std::string> names_;
};

TEST_F(Corpus, EveryPipelineCanRunExceptTheMisspeltOne) {
  EXPECT_GE(names_.size(), 58u);
  for (const std::string& name : names_) {
    const base::Status status = CheckRunnable(name);
    const std::string wanted =
        name == "invalid_yaml.yaml" ? "components_1: unknown field, did you mean 'components'" : "";
    EXPECT_EQ(status.message(), wanted) << name;
  }
}

// row: E20
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
