#include "executor/internal/containerized.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace caudal::executor::internal {
namespace {

class ContainerizedTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/caudal-module-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    data_dir_ = path;
    for (const char* word : {"python3", "-m", "kfp.dsl.executor_main"}) {
      spec_.mutable_container()->add_command(word);
    }
    for (const char* word : {"--executor_input", "{{$}}", "--function_to_execute", "train"}) {
      spec_.mutable_container()->add_args(word);
    }
    spec_.mutable_container()->set_image("example.com/train:1");
    spec_.mutable_settings()->add_code()->set_sha256("c0de");
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(data_dir_).ok()); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = Code(path);
    ASSERT_TRUE(base::MakeDirs(full.parent_path().string()).ok());
    std::ofstream(full) << text;
  }
  std::string Code(const std::string& path) const { return data_dir_ + "/code/c0de/" + path; }

  std::string data_dir_;
  v1::AttemptSpec spec_;
};

TEST_F(ContainerizedTest, RecognisesTheCommand) {
  EXPECT_EQ(ContainerizedFunction(spec_), "train");
  spec_.mutable_container()->add_args("--component_module_path");
  EXPECT_EQ(ContainerizedFunction(spec_), std::nullopt) << "it has its module";
  v1::AttemptSpec other;
  other.mutable_container()->add_command("python3");
  EXPECT_EQ(ContainerizedFunction(other), std::nullopt);
}

// row: E217
TEST_F(ContainerizedTest, FollowsTheImagesOwnList) {
  Write("src/kfp_config.ini",
        "[Other]\ntrain = wrong.py\n[Components]\nprepare = a.py\ntrain = parts/b.py\n");
  Write("src/runtime-requirements.txt", "# ours\npandas==2 # for frames\n\nscipy\n");
  Write("src/parts/b.py", "def train(): pass\n");
  Write("src/wrong.py", "def train(): pass\n");

  const auto module = FindModule(data_dir_, spec_, "train");

  ASSERT_TRUE(module.ok()) << module.status().ToString();
  EXPECT_EQ(module->path, Code("src/parts/b.py"));
  ASSERT_EQ(module->calls.size(), 2u);
  EXPECT_EQ(module->calls[1].packages, (std::vector<std::string>{"pandas==2", "scipy"}));
  const std::vector<std::string> command = ModuleCommand(module->path);
  EXPECT_EQ(command.back(), Code("src/parts/b.py"));
}

TEST_F(ContainerizedTest, ElseTakesTheOneFileThatDefinesIt) {
  Write("a.py", "import x\n\n@dsl.component(target_image='t')\ndef train(n: int):\n  pass\n");
  Write("b.py", "def training(): pass\nclass A:\n  def train(self): pass\n");

  const auto module = FindModule(data_dir_, spec_, "train");
  ASSERT_TRUE(module.ok()) << module.status().ToString();
  EXPECT_EQ(module->path, Code("a.py"));

  Write("c.py", "async def train(): pass\n");
  EXPECT_EQ(FindModule(data_dir_, spec_, "train").status().code(), base::Code::kFailedPrecondition);
}

// row: E217
TEST_F(ContainerizedTest, SaysWhatIsMissing) {
  const auto module = FindModule(data_dir_, spec_, "train");

  ASSERT_EQ(module.status().code(), base::Code::kNotFound);
  for (const char* part : {"'train'", "'example.com/train:1'", "--with"}) {
    EXPECT_NE(module.status().message().find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace caudal::executor::internal
