#pragma once

/// The `filter` and `sort_by` parameters of list calls, turned into SQL.

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "sql/database.h"

namespace caudal::store {

enum class ColumnKind { kText, kTime };

struct Column {
  std::string sql;
  ColumnKind kind = ColumnKind::kText;
};

/// API key → column, for sorting and filtering one kind of resource.
using ColumnMap = std::map<std::string, Column, std::less<>>;

/// A condition with its values; the SQL has one `?` per value, in order.
struct Condition {
  std::string sql;
  std::vector<std::variant<int64_t, std::string>> values;
};

/// Reads a filter (empty: none). `tags_column` names the JSON column that `tags.<key>` looks into,
/// or is empty. Errors: kInvalidArgument naming the part at fault.
base::Result<std::vector<Condition>> ParseFilter(const std::string& filter,
                                                 const ColumnMap& columns,
                                                 std::string_view tags_column);

struct Sort {
  std::string key = "created_at";
  bool descending = false;
};

/// Errors: kInvalidArgument for an unknown key or a malformed clause.
base::Result<Sort> ParseSort(const std::string& sort_by, const ColumnMap& columns);

}  // namespace caudal::store
