#include <gtest/gtest.h>
#include <stdlib.h>
#include <yaml.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "pyenv/pyenv.h"

namespace caudal::pyenv {
namespace {

namespace json = boost::json;

std::vector<std::string> Strings(const json::value& list) {
  std::vector<std::string> strings;
  for (const auto& item : list.as_array()) strings.emplace_back(item.as_string());
  return strings;
}

std::vector<std::string> FilesOf(const std::string& directory, const std::string& suffix) {
  std::vector<std::string> paths;
  const auto names = base::ListDir(directory);
  if (!names.ok()) return paths;
  for (const std::string& name : *names) {
    if (name.ends_with(suffix)) paths.push_back(directory + "/" + name);
  }
  return paths;
}

json::value ReadJson(const std::string& path) {
  const auto text = base::ReadFile(path);
  EXPECT_TRUE(text.ok()) << path;
  return json::parse(text.ok() ? *text : "null");
}

/// A case: {"command": […], "want": null | {"calls": [{"options", "packages"}], "use_venv"}}.
void CheckCase(const json::value& one) {
  const auto command = Strings(one.at("command"));

  const auto wrapper = ParseWrapper(command);

  const json::value& want = one.at("want");
  ASSERT_EQ(wrapper.has_value(), !want.is_null());
  if (!wrapper) return;
  const auto& calls = want.at("calls").as_array();
  ASSERT_EQ(wrapper->calls.size(), calls.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(wrapper->calls[i].options, Strings(calls[i].at("options")));
    EXPECT_EQ(wrapper->calls[i].packages, Strings(calls[i].at("packages")));
  }
  EXPECT_EQ(wrapper->use_venv, want.at("use_venv").as_bool());
  EXPECT_EQ(wrapper->command, std::vector<std::string>(command.end() - 4, command.end()));
}

TEST(ParseWrapper, FollowsTheCases) {
  const auto paths = FilesOf("tests/conformance/wrapper", ".json");

  EXPECT_GT(paths.size(), 10u);
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    CheckCase(ReadJson(path));
  }
}

/// Every form of every release, as the releases wrote them (generate.py beside the files).
TEST(ParseWrapper, KnowsEveryRelease) {
  int cases = 0;

  for (const std::string& path : FilesOf("tests/conformance/wrapper/sdk", ".json")) {
    const json::value forms = ReadJson(path);
    for (const auto& [name, form] : forms.as_object()) {
      SCOPED_TRACE(path + ": " + std::string(name));
      CheckCase(form);
      ++cases;
    }
  }
  EXPECT_GT(cases, 100);
}

TEST(CommandIn, UsesTheEntryModuleThatIsThere) {
  const json::value forms = ReadJson("tests/conformance/wrapper/sdk/2.0.0-beta.16.json");
  const auto wrapper = ParseWrapper(Strings(forms.at("plain").at("command")));
  ASSERT_TRUE(wrapper);
  char folder[] = "/tmp/caudal-entry-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  Environment environment;
  environment.site_packages = folder;

  EXPECT_EQ(CommandIn(*wrapper, environment), wrapper->command);  // neither is there: as written
  ASSERT_TRUE(base::MakeDirs(std::string(folder) + "/kfp/dsl").ok());
  ASSERT_TRUE(base::WriteFileAtomic(std::string(folder) + "/kfp/dsl/executor_main.py", "").ok());
  const auto moved = CommandIn(*wrapper, environment);
  EXPECT_NE(moved[2].find(" -m kfp.dsl.executor_main "), std::string::npos) << moved[2];
  ASSERT_TRUE(base::MakeDirs(std::string(folder) + "/kfp/components").ok());
  ASSERT_TRUE(
      base::WriteFileAtomic(std::string(folder) + "/kfp/components/executor_main.py", "").ok());
  EXPECT_EQ(CommandIn(*wrapper, environment), wrapper->command);
  EXPECT_TRUE(base::RemoveTree(folder).ok());
}

/// Every `command:` list of a YAML document.
void CollectCommands(yaml_document_t* document, yaml_node_t* node,
                     std::vector<std::vector<std::string>>* commands) {
  const auto text = [&](int id) {
    const yaml_node_t* scalar = yaml_document_get_node(document, id);
    if (scalar->type != YAML_SCALAR_NODE) return std::string();
    return std::string(reinterpret_cast<const char*>(scalar->data.scalar.value),
                       scalar->data.scalar.length);
  };
  if (node == nullptr || node->type != YAML_MAPPING_NODE) return;
  for (auto* pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; ++pair) {
    yaml_node_t* value = yaml_document_get_node(document, pair->value);
    if (text(pair->key) != "command" || value->type != YAML_SEQUENCE_NODE) {
      CollectCommands(document, value, commands);
      continue;
    }
    auto& words = commands->emplace_back();
    for (auto* item = value->data.sequence.items.start; item < value->data.sequence.items.top;
         ++item) {
      words.push_back(text(*item));
    }
  }
}

std::vector<std::vector<std::string>> CommandsOf(const std::string& yaml) {
  std::vector<std::vector<std::string>> commands;
  yaml_parser_t parser;
  yaml_parser_initialize(&parser);
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(yaml.data()),
                               yaml.size());
  yaml_document_t document;
  while (yaml_parser_load(&parser, &document) != 0) {
    yaml_node_t* root = yaml_document_get_root_node(&document);
    CollectCommands(&document, root, &commands);
    yaml_document_delete(&document);
    if (root == nullptr) break;
  }
  yaml_parser_delete(&parser);
  return commands;
}

TEST(ParseWrapper, RecognisesEveryRealComponent) {
  const auto paths = FilesOf("../shared/corpus/pipelines", ".yaml");
  if (paths.empty()) GTEST_SKIP() << "no corpus of compiled pipelines here";
  int recognised = 0;

  for (const std::string& path : paths) {
    const auto yaml = base::ReadFile(path);
    ASSERT_TRUE(yaml.ok());
    for (const auto& command : CommandsOf(*yaml)) {
      if (command.size() != 7 || command[2].find("pip install") == std::string::npos) continue;
      ++recognised;
      EXPECT_TRUE(ParseWrapper(command).has_value()) << path << "\n" << command[2] << command[5];
    }
  }
  EXPECT_GT(recognised, 50);
}

}  // namespace
}  // namespace caudal::pyenv
