// The language's own conformance cases, where they are at hand.

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <map>
#include <random>

#include "base/file.h"
#include "expr/internal/evaluate.h"
#include "expr/internal/numbers.h"
#include "wire/json.h"

namespace caudal::expr {
namespace {

namespace json = boost::json;

constexpr char kCases[] = "../shared/cel/cases.json";

/// Cases that are left out, each with the reason. There is none.
const std::map<std::string, std::string> kLeftOut = {};

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    for (const int shift : {4, 0}) {
      text.push_back("0123456789abcdef"[static_cast<uint8_t>(c) >> shift & 15]);
    }
  }
  return text;
}

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

/// A value as the file writes it.
Value Read(const json::value& json) {
  const auto& [kind, value] = *json.as_object().begin();
  const auto text = [&] { return std::string(value.as_string()); };
  if (kind == "null") return Value();
  if (kind == "bool") return Value::OfBool(value.as_bool());
  if (kind == "int") return Value::OfInt(std::stoll(text()));
  if (kind == "uint") return Value::OfUint(std::stoull(text()));
  if (kind == "double") return Value::OfDouble(*ParseDouble(text()));
  if (kind == "string") return Value::OfString(text());
  if (kind == "bytes") return Value::OfBytes(FromHex(text()));
  if (kind == "list") {
    std::vector<Value> elements;
    for (const json::value& element : value.as_array()) elements.push_back(Read(element));
    return Value::OfList(std::move(elements));
  }
  if (kind == "map") {
    std::vector<std::pair<Value, Value>> entries;
    for (const json::value& entry : value.as_array()) {
      entries.emplace_back(Read(entry.as_array()[0]), Read(entry.as_array()[1]));
    }
    return *MakeMap(std::move(entries));
  }
  ADD_FAILURE() << "unknown kind of value: " << kind;
  return Value();
}

/// As text that tells types apart; entries of maps are in order.
std::string Shown(const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return value.boolean() ? "true" : "false";
    case Kind::kInt:
      return std::to_string(value.integer());
    case Kind::kUint:
      return std::to_string(value.unsigned_integer()) + "u";
    case Kind::kDouble:
      return "double " + DoubleText(value.real());
    case Kind::kString:
      return "'" + value.text() + "'";
    case Kind::kBytes:
      return "bytes " + Hex(value.bytes());
    case Kind::kType:
      return "type " + std::string(value.type_name());
    case Kind::kList: {
      std::string text = "[";
      for (size_t i = 0; i < value.list().size(); ++i) text += Shown(value.list().At(i)) + ",";
      return text + "]";
    }
    case Kind::kMap: {
      std::string text = "{";
      for (const Value& key : value.map().Keys()) {
        text += Shown(key) + ":" + Shown(*value.map().Find(key)) + ",";
      }
      return text + "}";
    }
    default:
      return "a " + std::string(TypeNameOf(value));
  }
}

std::string Wanted(const json::object& want) {
  if (want.contains("error")) return "an error";
  const json::value& value = want.at("value");
  if (const auto* type = value.as_object().if_contains("type")) {
    return "type " + std::string(type->as_string());
  }
  return Shown(Read(value));
}

struct Case {
  std::string id, text, wanted;
  Checking checking;
  std::map<std::string, Value> bindings;
};

std::vector<Case> Load() {
  std::vector<Case> cases;
  const auto text = base::ReadFile(kCases);
  if (!text.ok()) return cases;
  const json::value all = json::parse(*text);
  for (const json::value& row : all.as_array()) {
    const json::object& object = row.as_object();
    Case one{.id = std::string(object.at("id").as_string()),
             .text = std::string(object.at("expr").as_string()),
             .wanted = Wanted(object.at("want").as_object()),
             .checking = object.contains("unchecked") ? Checking::kOff : Checking::kOn,
             .bindings = {}};
    if (const auto* bindings = object.if_contains("bindings")) {
      for (const auto& [name, value] : bindings->as_object()) one.bindings[name] = Read(value);
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

Outcome Evaluated(const Case& one) {
  Environment environment;
  for (const auto& [name, value] : one.bindings) environment.variables.push_back({name, {}});
  CAUDAL_ASSIGN(const ProgramPtr program, CompileIn(one.text, environment, one.checking));
  Budget budget;
  return Evaluate(
      *program->root,
      [&](std::string_view name) -> std::optional<Value> {
        const auto found = one.bindings.find(std::string(name));
        if (found == one.bindings.end()) return {};
        return found->second;
      },
      budget);
}

TEST(Language, EveryConformanceCase) {
  const std::vector<Case> cases = Load();
  if (cases.empty()) GTEST_SKIP() << "no conformance cases in " << kCases;
  EXPECT_EQ(cases.size(), 1077u);
  for (const Case& one : cases) {
    if (kLeftOut.contains(one.id)) continue;
    const Outcome outcome = Evaluated(one);
    EXPECT_EQ(outcome.ok() ? Shown(*outcome) : "an error", one.wanted)
        << one.id << ": " << one.text << "\n"
        << outcome.status().message();
  }
}

/// What mutations are made of when the conformance cases are not at hand.
const std::vector<std::string> kSeeds = {
    "inputs.parameter_values['a'] == 'heads' && !(int(inputs.parameter_values['n']) > 5)",
    "[1, 2u, 3.5e3, 'x', b'\\xff', {'k': [true, null]}].exists(e, e == 2)",
    "{'a': 1}.map(k, k + 'x').filter(v, v.matches('a+x'))[0].size() < 4 ? -1 : 0x1F",
    "timestamp('2009-02-13T23:31:30Z').getHours('+02:00') in [1] || has(x.y.`a-b`)",
    "duration('1h30m') + timestamp(0) // and a comment"};

std::string Mutated(const std::vector<std::string>& texts, std::mt19937* random) {
  const auto below = [&](size_t limit) { return (*random)() % std::max<size_t>(limit, 1); };
  std::string text = texts[below(texts.size())];
  const std::string_view letters = "'\"()[]{}.,?:!&|<>=+-*/%`\\\n0123u eExinabr\xC3\xFF";
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    const size_t at = below(text.size());
    const std::string& other = texts[below(texts.size())];
    switch (below(4)) {
      case 0:
        text.insert(at, 1, letters[below(letters.size())]);
        break;
      case 1:
        text.erase(at, 1 + below(4));
        break;
      case 2:
        text.insert(at, other, below(other.size()), below(20));
        break;
      default:
        if (!text.empty()) text[at] = letters[below(letters.size())];
    }
  }
  return text;
}

TEST(Language, MutatedExpressionsNeverCrash) {
  std::vector<std::string> texts = kSeeds;
  for (const Case& one : Load()) texts.push_back(one.text);
  std::mt19937 random(20);
  for (int i = 0; i < 20'000; ++i) {
    Case one{.id = "",
             .text = Mutated(texts, &random),
             .wanted = "",
             .checking = i % 2 == 0 ? Checking::kOn : Checking::kOff,
             .bindings = {{"x", *MakeMap({})}}};
    const Outcome outcome = Evaluated(one);
    EXPECT_EQ(outcome.ok(), outcome.status().message().empty()) << one.text;
  }
}

}  // namespace
}  // namespace caudal::expr
