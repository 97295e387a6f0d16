#include "cli/internal/output.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/internal/progress.h"
#include "cli/internal/text.h"
#include "cli/internal/wording.h"
#include "cli/internal/yaml.h"

namespace caudal::cli {
namespace {

using boost::json::value;

constexpr size_t kGap = 2;

size_t TotalWidth(const std::vector<size_t>& widths, const std::vector<bool>& shown) {
  size_t total = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    if (shown[i]) total += widths[i] + (total > 0 ? kGap : 0);
  }
  return total;
}

void AppendIndented(const value& data, size_t depth, std::string* text) {
  const std::string indent(2 * (depth + 1), ' ');
  if (data.is_array() && !data.get_array().empty()) {
    *text += "[\n";
    for (const value& item : data.get_array()) {
      *text += indent;
      AppendIndented(item, depth + 1, text);
      *text += &item == &data.get_array().back() ? "\n" : ",\n";
    }
    *text += std::string(2 * depth, ' ') + "]";
  } else if (data.is_object() && !data.get_object().empty()) {
    *text += "{\n";
    size_t left = data.get_object().size();
    for (const auto& [name, item] : data.get_object()) {
      *text += indent + boost::json::serialize(boost::json::string(name)) + ": ";
      AppendIndented(item, depth + 1, text);
      *text += --left == 0 ? "\n" : ",\n";
    }
    *text += std::string(2 * depth, ' ') + "}";
  } else {
    *text += CompactJson(data);
  }
}

}  // namespace

base::Result<OutputForm> ReadOutputForm(const Arguments& arguments) {
  const std::string word = arguments.Get("--output", arguments.Has("--json") ? "json" : "table");
  if (arguments.Has("--json") && word != "json") {
    return base::InvalidArgument("--json and --output " + word + " do not go together");
  }
  if (word == "table") return OutputForm::kTable;
  if (word == "json") return OutputForm::kJson;
  if (word == "jsonl") return OutputForm::kJsonl;
  if (word == "yaml") return OutputForm::kYaml;
  return base::InvalidArgument("--output wants table, json, jsonl or yaml, got \"" + word + "\"" +
                               DidYouMean(word, {"table", "json", "jsonl", "yaml"}));
}

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Columns(std::string(columns_[i].title));
    for (const auto& row : rows_) width = std::max(width, Columns(row[i].text));
    widths.push_back(width);
  }
  return widths;
}

// Cuts what may be cut, from the right, then leaves out what may be left out.
std::vector<bool> Table::Fit(size_t width, std::vector<size_t>* widths) const {
  std::vector<bool> shown(columns_.size(), true);
  if (width == 0) return shown;
  const auto cut = [&] {
    for (size_t i = columns_.size(); i-- > 0;) {
      const size_t total = TotalWidth(*widths, shown);
      if (total <= width) return;
      const size_t least = std::max(columns_[i].least, Columns(std::string(columns_[i].title)));
      if (!shown[i] || columns_[i].least == 0 || (*widths)[i] <= least) continue;
      (*widths)[i] -= std::min(total - width, (*widths)[i] - least);
    }
  };
  const std::vector<size_t> full = *widths;
  cut();
  for (size_t i = columns_.size(); i-- > 0 && TotalWidth(*widths, shown) > width;) {
    if (!columns_[i].is_dispensable) continue;
    shown[i] = false;
    *widths = full;  // what was cut may have room now
    cut();
  }
  return shown;
}

std::string Table::Text(const Style& style) const {
  const auto width = static_cast<size_t>(style.columns);
  std::vector<size_t> widths = Widths();
  const std::vector<bool> shown = Fit(width, &widths);
  std::string text;
  const auto append = [&](size_t i, const std::string& cell, std::string_view dress,
                          bool is_first) {
    const std::string cut = CutTo(Printable(cell), widths[i]);
    const std::string pad(widths[i] - Columns(cut), ' ');
    if (!is_first) text += std::string(kGap, ' ');
    if (columns_[i].is_number) text += pad;
    text += Dress(cut, dress, style);
    if (!columns_[i].is_number) text += pad;
  };
  const auto end_line = [&] {
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  bool is_first = true;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (!shown[i]) continue;
    append(i, std::string(columns_[i].title), kDim, is_first);
    is_first = false;
  }
  end_line();
  for (const auto& row : rows_) {
    is_first = true;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!shown[i]) continue;
      append(i, row[i].text, row[i].dress, is_first);
      is_first = false;
    }
    end_line();
  }
  return text;
}

std::string DataText(const value& data, OutputForm form) {
  std::string text;
  switch (form) {
    case OutputForm::kJsonl:
      if (!data.is_array()) return CompactJson(data) + "\n";
      for (const value& item : data.get_array()) text += CompactJson(item) + "\n";
      return text;
    case OutputForm::kYaml:
      return YamlText(data);
    default:
      AppendIndented(data, 0, &text);
      return text + "\n";
  }
}

void PrintData(OutputForm form, const value& data) {
  std::fputs(DataText(data, form).c_str(), stdout);
}

void PrintOutput(OutputForm form, const Table& table, const value& data) {
  if (form != OutputForm::kTable) return PrintData(form, data);
  std::fputs(table.Text(StyleFor(STDOUT_FILENO)).c_str(), stdout);
}

}  // namespace caudal::cli
