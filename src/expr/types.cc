#include "expr/internal/types.h"

namespace caudal::expr {
namespace {

bool MayBeNull(const Type& type) {
  return type.kind == TypeKind::kRecord || type.kind == TypeKind::kTimestamp ||
         type.kind == TypeKind::kDuration;
}

}  // namespace

std::string ToString(const Type& type) {
  switch (type.kind) {
    case TypeKind::kDyn:
      return "dyn";
    case TypeKind::kNull:
      return "null";
    case TypeKind::kBool:
      return "bool";
    case TypeKind::kInt:
      return "int";
    case TypeKind::kUint:
      return "uint";
    case TypeKind::kDouble:
      return "double";
    case TypeKind::kString:
      return "string";
    case TypeKind::kBytes:
      return "bytes";
    case TypeKind::kList:
      return "list(" + ToString(type.of[0]) + ")";
    case TypeKind::kMap:
      return "map(" + ToString(type.of[0]) + ", " + ToString(type.of[1]) + ")";
    case TypeKind::kRecord:
      return std::string(type.record);
    case TypeKind::kType:
      return "type";
    case TypeKind::kTimestamp:
      return "timestamp";
    case TypeKind::kDuration:
      return "duration";
  }
  return "";
}

bool Compatible(const Type& left, const Type& right) {
  if (left.kind == TypeKind::kDyn || right.kind == TypeKind::kDyn) return true;
  if (left.kind == TypeKind::kNull && MayBeNull(right)) return true;
  if (right.kind == TypeKind::kNull && MayBeNull(left)) return true;
  if (left.kind != right.kind || left.record != right.record) return false;
  for (size_t i = 0; i < left.of.size(); ++i) {
    if (!Compatible(left.of[i], right.of[i])) return false;
  }
  return true;
}

Type Join(const Type& left, const Type& right) {
  if (left == right) return left;
  if (left.kind != right.kind || left.of.size() != right.of.size()) return {};
  Type joined = left;
  for (size_t i = 0; i < left.of.size(); ++i) joined.of[i] = Join(left.of[i], right.of[i]);
  return joined;
}

}  // namespace caudal::expr
