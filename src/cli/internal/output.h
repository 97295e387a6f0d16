#pragma once

/// Results on standard output: the same data as a table for people and as JSON or YAML for
/// programs.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/internal/arguments.h"
#include "cli/internal/text.h"

namespace caudal::cli {

enum class OutputForm { kTable, kJson, kJsonl, kYaml };

/// What `-o` and `--json` ask for. Errors: kInvalidArgument for another word, or for both at odds.
base::Result<OutputForm> ReadOutputForm(const Arguments& arguments);

struct Column {
  std::string_view title;
  bool is_number = false;       ///< stands to the right
  size_t least = 0;             ///< may be cut to so many columns; 0: never is
  bool is_dispensable = false;  ///< left out, the last first, where the terminal is too narrow
};

struct Cell {
  Cell(std::string words, std::string_view dressed = "") : text(std::move(words)), dress(dressed) {}
  std::string text;
  std::string_view dress;  ///< as in text.h
};

/// Rows under titles. Text of cells is made printable.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void Add(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }

  /// Fitted to the style's columns. Ends with a line feed.
  std::string Text(const Style& style) const;

 private:
  std::vector<size_t> Widths() const;
  std::vector<bool> Fit(size_t width, std::vector<size_t>* widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

/// `data` in a form other than kTable: JSON indented by 2; JSON Lines with one line per element of
/// a list; YAML. Ends with a line feed.
std::string DataText(const boost::json::value& data, OutputForm form);

/// The table, fitted to the terminal, or the data.
void PrintOutput(OutputForm form, const Table& table, const boost::json::value& data);
void PrintData(OutputForm form, const boost::json::value& data);

}  // namespace caudal::cli
