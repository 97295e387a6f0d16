#include "cli/internal/yaml.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <string_view>

#include "cli/internal/wording.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

using boost::json::value;

// Letters first, nothing that could end or change the word, and no word of YAML 1.1 itself.
bool IsPlain(std::string_view text) {
  static constexpr std::array kReserved = {"null", "true", "false", "yes", "no",
                                           "on",   "off",  "y",     "n"};
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  const bool is_simple = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' ||
           c == '/' || c == ' ';
  });
  if (!is_simple || text.back() == ' ') return false;
  return std::find(kReserved.begin(), kReserved.end(), Lowercase(text)) == kReserved.end();
}

// A JSON string is a double-quoted YAML string.
std::string Scalar(const value& data) {
  if (data.is_array()) return "[]";
  if (data.is_object()) return "{}";
  if (!data.is_string()) return CompactJson(data);
  const std::string_view text(data.get_string().data(), data.get_string().size());
  return IsPlain(text) ? std::string(text) : boost::json::serialize(data.get_string());
}

bool IsBlock(const value& data) {
  return (data.is_array() && !data.get_array().empty()) ||
         (data.is_object() && !data.get_object().empty());
}

// Writes a block whose first line follows what is on the line already.
void AppendBlock(const value& data, size_t indent, std::string* text) {
  const std::string margin(indent, ' ');
  bool is_first = true;
  const auto start_line = [&] {
    if (!is_first) *text += margin;
    is_first = false;
  };
  if (data.is_array()) {
    for (const value& item : data.get_array()) {
      start_line();
      *text += "- ";
      if (IsBlock(item)) {
        AppendBlock(item, indent + 2, text);
      } else {
        *text += Scalar(item) + "\n";
      }
    }
    return;
  }
  for (const auto& [name, item] : data.get_object()) {
    start_line();
    *text += Scalar(boost::json::string(name)) + ":";
    if (!IsBlock(item)) {
      *text += " " + Scalar(item) + "\n";
    } else {
      *text += "\n" + std::string(indent + 2, ' ');
      AppendBlock(item, indent + 2, text);
    }
  }
}

}  // namespace

std::string CompactJson(const value& data) {
  std::string text;
  if (data.is_double()) return wire::NumberText(data.get_double());
  if (data.is_array()) {
    for (const value& item : data.get_array()) {
      text += (text.empty() ? "" : ",") + CompactJson(item);
    }
    return "[" + text + "]";
  }
  if (data.is_object()) {
    for (const auto& [name, item] : data.get_object()) {
      text += (text.empty() ? "" : ",") + boost::json::serialize(boost::json::string(name)) + ":" +
              CompactJson(item);
    }
    return "{" + text + "}";
  }
  return boost::json::serialize(data);
}

std::string YamlText(const value& data) {
  if (!IsBlock(data)) return Scalar(data) + "\n";
  std::string text;
  AppendBlock(data, 0, &text);
  return text;
}

}  // namespace caudal::cli
