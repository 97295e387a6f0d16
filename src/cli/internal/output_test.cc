#include "cli/internal/output.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <cstdlib>

#include "base/file.h"
#include "cli/internal/wording.h"

namespace caudal::cli {
namespace {

constexpr char kCases[] = "tests/conformance/cli_output";

/// A file `<name>.json` with columns, rows and data, and beside it what is wanted of them: the
/// table at each width, and the data in each form.
class OutputCase : public testing::Test {
 public:
  explicit OutputCase(std::string name) : path_(std::string(kCases) + "/" + name) {}

  void TestBody() override {
    const auto text = base::ReadFile(path_ + "/input.json");
    ASSERT_TRUE(text.ok()) << text.status().message();
    const boost::json::value input = boost::json::parse(*text);
    std::vector<Column> columns;
    for (const auto& column : input.at("columns").as_array()) {
      const auto number = [&column](const char* name) {
        const auto* found = column.as_object().if_contains(name);
        return found == nullptr ? 0 : found->as_int64();
      };
      columns.push_back({std::string_view(column.at("title").as_string()), number("number") > 0,
                         static_cast<size_t>(number("least")), number("dispensable") > 0});
    }
    Table table(columns);
    for (const auto& row : input.at("rows").as_array()) {
      std::vector<Cell> cells;
      for (const auto& cell : row.as_array()) cells.emplace_back(std::string(cell.as_string()));
      table.Add(std::move(cells));
    }
    for (const int width : {0, 60, 40}) {
      Compare("want." + std::to_string(width) + ".txt", table.Text({false, width, 0}));
    }
    Compare("want.json", DataText(input.at("data"), OutputForm::kJson));
    Compare("want.jsonl", DataText(input.at("data"), OutputForm::kJsonl));
    Compare("want.yaml", DataText(input.at("data"), OutputForm::kYaml));
  }

 private:
  // CAUDAL_UPDATE=1 writes what there is instead of comparing.
  void Compare(const std::string& file, const std::string& got) {
    const std::string path = path_ + "/" + file;
    if (std::getenv("CAUDAL_UPDATE") != nullptr) {
      ASSERT_TRUE(base::WriteFileAtomic(path, got, 0644).ok());
      return;
    }
    const auto want = base::ReadFile(path);
    ASSERT_TRUE(want.ok()) << want.status().message();
    EXPECT_EQ(got, *want) << path;
  }

  std::string path_;
};

[[maybe_unused]] const bool kRegistered = [] {
  const auto names = base::ListDir(kCases);
  if (!names.ok()) return false;
  for (const std::string& name : *names) {
    testing::RegisterTest("OutputConformance", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [name]() -> testing::Test* { return new OutputCase(name); });
  }
  return true;
}();

TEST(Output, HasConformanceCases) {
  EXPECT_TRUE(kRegistered) << "run from the top of the source tree: " << kCases << " is not there";
}

TEST(Output, NoTableIsWiderThanTheTerminal) {
  Table table({{"id"}, {"name", false, 12}, {"took", true, 0, true}, {"created"}});
  table.Add({{"7be2aaaa"}, {std::string(200, 'n')}, {"12 min 5 s"}, {"3 min ago"}});
  for (int width = 34; width < 120; ++width) {
    const std::string text = table.Text({false, width, 0});
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = text.find('\n', begin);
      EXPECT_LE(Columns(text.substr(begin, end - begin)), static_cast<size_t>(width)) << text;
      begin = end + 1;
    }
  }
}

TEST(Output, ColoursOnlyWhereThereIsColour) {
  Table table({{"state"}});
  table.Add({{"failed", kRed}});
  EXPECT_EQ(table.Text({false, 0, 0}), "state\nfailed\n");
  EXPECT_EQ(table.Text({true, 0, 0}), "\033[2mstate\033[0m\n\033[31mfailed\033[0m\n");
}

TEST(Output, NamesCannotMoveTheCursor) {
  Table table({{"name"}});
  table.Add({{"a\033[2Jb\nc"}});
  EXPECT_EQ(table.Text({}), "name\na [2Jb c\n");
}

base::Result<OutputForm> FormOf(const std::vector<std::string>& words) {
  static constexpr std::array kFlags = {Flag{"--output", "-o", "FORM", ""},
                                        Flag{"--json", "", "", ""}};
  return ReadOutputForm(*ParseArguments({"v", "", "", kFlags, ""}, words));
}

TEST(Output, FormsAreChosenByFlag) {
  EXPECT_EQ(*FormOf({}), OutputForm::kTable);
  EXPECT_EQ(*FormOf({"--json"}), OutputForm::kJson);
  EXPECT_EQ(*FormOf({"-o", "yaml"}), OutputForm::kYaml);
  EXPECT_EQ(*FormOf({"--json", "-ojson"}), OutputForm::kJson);
  EXPECT_EQ(FormOf({"-o", "yml"}).status().message(),
            "--output wants table, json, jsonl or yaml, got \"yml\", did you mean 'yaml'?");
  EXPECT_EQ(FormOf({"--json", "-o", "yaml"}).status().message(),
            "--json and --output yaml do not go together");
}

TEST(Wording, Ages) {
  constexpr int64_t kSecond = 1'000'000;
  constexpr int64_t kNow = 1'700'000'000 * kSecond;
  EXPECT_EQ(AgeText(kNow, kNow), "just now");
  EXPECT_EQ(AgeText(kNow - 12 * kSecond, kNow), "12 s ago");
  EXPECT_EQ(AgeText(kNow - 200 * kSecond, kNow), "3 min ago");
  EXPECT_EQ(AgeText(kNow - 7200 * kSecond, kNow), "2 h ago");
  EXPECT_EQ(AgeText(kNow - 5 * 86'400 * kSecond, kNow), "5 d ago");
  EXPECT_EQ(AgeText(kNow - 90 * 86'400 * kSecond, kNow), "2023-08-16");
  EXPECT_EQ(AgeText(0, kNow), "");
  EXPECT_EQ(AgeText(kNow + 5 * kSecond, kNow), "just now");
}

}  // namespace
}  // namespace caudal::cli
