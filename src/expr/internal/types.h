#pragma once

/// Types of expressions, and what an expression may name.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caudal::expr {

enum class TypeKind {
  kDyn,  ///< known only when it is evaluated
  kNull,
  kBool,
  kInt,
  kUint,
  kDouble,
  kString,
  kBytes,
  kList,  ///< of one type
  kMap,   ///< of a key's and a value's type
  kRecord,
  kType,
  kTimestamp,
  kDuration,
};

struct Type {
  TypeKind kind = TypeKind::kDyn;
  std::vector<Type> of;
  std::string_view record;  ///< name of a message type, a literal

  bool operator==(const Type&) const = default;
};

inline Type ListOf(Type element) { return {TypeKind::kList, {std::move(element)}, {}}; }
inline Type MapOf(Type key, Type value) {
  return {TypeKind::kMap, {std::move(key), std::move(value)}, {}};
}

/// "int", "list(string)", "map(string, dyn)".
std::string ToString(const Type& type);

/// Whether a value of one can be one of the other.
bool Compatible(const Type& left, const Type& right);

/// What both are; dyn when they differ.
Type Join(const Type& left, const Type& right);

struct NamedType {
  std::string name;
  Type type;
};
struct RecordType {
  std::string_view name;
  std::vector<NamedType> fields;
};

/// What an expression may name. Names of variables may have dots.
struct Environment {
  std::vector<NamedType> variables;
  std::vector<RecordType> records;
  Type result;  ///< what the whole must be
};

}  // namespace caudal::expr
