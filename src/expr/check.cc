#include "expr/internal/check.h"

#include <algorithm>

#include "expr/internal/functions.h"
#include "wire/names.h"

namespace caudal::expr {
namespace {

constexpr int64_t kPatternMemory = 1 << 20;

constexpr std::string_view kTypeNames[] = {"bool",
                                           "int",
                                           "uint",
                                           "double",
                                           "string",
                                           "bytes",
                                           "list",
                                           "null_type",
                                           "map",
                                           "type",
                                           "google.protobuf.Timestamp",
                                           "google.protobuf.Duration"};

Type Simple(TypeKind kind) { return {kind, {}, {}}; }

TypeKind TypeOfConstant(const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      return TypeKind::kNull;
    case Kind::kBool:
      return TypeKind::kBool;
    case Kind::kInt:
      return TypeKind::kInt;
    case Kind::kUint:
      return TypeKind::kUint;
    case Kind::kDouble:
      return TypeKind::kDouble;
    case Kind::kString:
      return TypeKind::kString;
    case Kind::kBytes:
      return TypeKind::kBytes;
    default:
      return TypeKind::kType;
  }
}

bool IsKeyType(const Type& type) {
  return type.kind == TypeKind::kDyn || type.kind == TypeKind::kBool ||
         type.kind == TypeKind::kInt || type.kind == TypeKind::kUint ||
         type.kind == TypeKind::kString;
}

/// "int + string", "size(int)", "int.contains(string)", "list(int)[string]".
std::string Spelled(const Node& call, const std::vector<Type>& types) {
  std::vector<std::string> names;
  for (const Type& type : types) names.push_back(ToString(type));
  if (call.function == Function::kIndex) return names[0] + "[" + names[1] + "]";
  if (call.function >= Function::kAdd && call.function < Function::kIndex) {
    if (names.size() == 1) return call.name + names[0];
    return names[0] + " " + call.name + " " + names[1];
  }
  size_t first = 0;
  std::string text;
  if (call.method) text = names[first++] + ".";
  text += call.name + "(";
  for (size_t i = first; i < names.size(); ++i) text += (i > first ? ", " : "") + names[i];
  return text + ")";
}

class Resolver {
 public:
  Resolver(const Environment& environment, Checking checking)
      : environment_(environment), checking_(checking == Checking::kOn) {}

  std::optional<SourceFault> Run(NodePtr* root) {
    const Type type = Visit(root);
    if (!Compatible(type, environment_.result)) {
      Fail((*root)->offset,
           "the result must be a " + ToString(environment_.result) + ", not " + ToString(type));
    }
    return std::move(fault_);
  }

 private:
  struct Local {
    std::string name;
    Type type;
  };

  Type Fail(size_t offset, std::string message) {
    if (checking_ && !fault_) fault_ = SourceFault{offset, std::move(message)};
    return {};
  }

  Type Visit(NodePtr* place) {
    Node& node = **place;
    switch (node.operation) {
      case Operation::kConstant:
        return Simple(TypeOfConstant(node.constant));
      case Operation::kVariable:
      case Operation::kSelect:
        if (const auto named = Named(&node)) return *named;
        return node.operation == Operation::kSelect ? Select(node) : Unknown(node);
      case Operation::kLocal:
        return {};
      case Operation::kHas:
        Select(node);
        return Simple(TypeKind::kBool);
      case Operation::kList:
        return ListLiteral(node);
      case Operation::kMap:
        return MapLiteral(node);
      case Operation::kAnd:
      case Operation::kOr:
        for (NodePtr& child : node.children) {
          WantBool(&child, node.operation == Operation::kAnd ? "'&&'" : "'||'");
        }
        return Simple(TypeKind::kBool);
      case Operation::kConditional:
        return Conditional(node);
      case Operation::kCall:
        return Call(node);
      default:
        return Macro(node);
    }
  }

  void WantBool(NodePtr* place, const std::string& who) {
    const size_t offset = (*place)->offset;
    const Type type = Visit(place);
    if (type.kind != TypeKind::kDyn && type.kind != TypeKind::kBool) {
      Fail(offset, who + " wants a bool, got " + ToString(type));
    }
  }

  /// The dotted name that a chain of fields spells, and where it begins.
  static bool Spell(const Node& node, std::string* name, const Node** start) {
    const Node* at = &node;
    std::vector<const std::string*> parts;
    while (at->operation == Operation::kSelect) {
      parts.push_back(&at->name);
      at = at->children[0].get();
    }
    if (at->operation != Operation::kVariable) return false;
    *name = at->name;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) *name += "." + **part;
    *start = at;
    return true;
  }

  /// Turns the node into what the whole of its dotted name stands for, if anything.
  std::optional<Type> Named(Node* node) {
    std::string name;
    const Node* start = nullptr;
    if (!Spell(*node, &name, &start)) return {};
    if (!start->absolute && FindLocal(start->name) >= 0) {
      if (node->operation != Operation::kVariable) return {};
      node->slot = FindLocal(name);
      node->operation = Operation::kLocal;
      return locals_[static_cast<size_t>(node->slot)].type;
    }
    for (const NamedType& variable : environment_.variables) {
      if (variable.name != name) continue;
      Become(node, Operation::kVariable, name, start->offset);
      return variable.type;
    }
    const auto* type = std::ranges::find(kTypeNames, name);
    if (type == std::end(kTypeNames)) return {};
    Become(node, Operation::kConstant, name, start->offset);
    node->constant = Value::OfType(*type);
    return Simple(TypeKind::kType);
  }

  static void Become(Node* node, Operation operation, std::string name, size_t offset) {
    node->operation = operation;
    node->name = std::move(name);
    node->offset = offset;
    node->children.clear();
  }

  int FindLocal(const std::string& name) const {
    for (size_t i = locals_.size(); i > 0; --i) {
      if (locals_[i - 1].name == name) return static_cast<int>(i - 1);
    }
    return -1;
  }

  Type Unknown(const Node& node) {
    std::vector<std::string> names;
    for (const NamedType& variable : environment_.variables) names.push_back(variable.name);
    for (const Local& local : locals_) names.push_back(local.name);
    return Fail(node.offset,
                "unknown variable '" + node.name + "'" + wire::DidYouMean(node.name, names));
  }

  Type Select(Node& node) {
    const Type object = Visit(&node.children[0]);
    if (object.kind == TypeKind::kDyn) return {};
    if (object.kind == TypeKind::kMap) {
      if (Compatible(object.of[0], Simple(TypeKind::kString))) return object.of[1];
      return Fail(node.offset, "the keys of this map are no strings but " + ToString(object.of[0]));
    }
    if (object.kind == TypeKind::kRecord) return Field(node, object);
    return Fail(node.offset,
                "a value of type " + ToString(object) + " has no field '" + node.name + "'");
  }

  Type Field(const Node& node, const Type& object) {
    std::vector<std::string> names;
    for (const RecordType& record : environment_.records) {
      if (record.name != object.record) continue;
      for (const NamedType& field : record.fields) {
        if (field.name == node.name) return field.type;
        names.push_back(field.name);
      }
    }
    return Fail(node.offset, std::string(object.record) + " has no field '" + node.name + "'" +
                                 wire::DidYouMean(node.name, names));
  }

  Type ListLiteral(Node& node) {
    std::optional<Type> element;
    for (NodePtr& child : node.children) {
      const Type type = Visit(&child);
      element = element ? Join(*element, type) : type;
    }
    return ListOf(element.value_or(Type{}));
  }

  Type MapLiteral(Node& node) {
    std::optional<Type> key, value;
    for (size_t i = 0; i < node.children.size(); i += 2) {
      const size_t offset = node.children[i]->offset;
      const Type a = Visit(&node.children[i]), b = Visit(&node.children[i + 1]);
      if (!IsKeyType(a)) Fail(offset, "unsupported key type: " + ToString(a));
      key = key ? Join(*key, a) : a;
      value = value ? Join(*value, b) : b;
    }
    return MapOf(key.value_or(Type{}), value.value_or(Type{}));
  }

  Type Conditional(Node& node) {
    WantBool(&node.children[0], "'?'");
    const Type yes = Visit(&node.children[1]), no = Visit(&node.children[2]);
    if (!Compatible(yes, no)) {
      return Fail(node.offset,
                  "the two results of '?' differ: " + ToString(yes) + " and " + ToString(no));
    }
    if (yes.kind == TypeKind::kNull) return no;
    return no.kind == TypeKind::kNull ? yes : Join(yes, no);
  }

  Type Call(Node& node) {
    if (node.function == Function::kUnknown) {
      const auto function = FindFunction(node.name, node.method);
      if (function) node.function = *function;
    }
    std::vector<Type> types;
    for (NodePtr& child : node.children) types.push_back(Visit(&child));
    if (node.function == Function::kUnknown) return UnknownFunction(node, types);
    const auto result = ResultOf(node.function, types);
    if (!result) return Fail(node.offset, "no such overload: " + Spelled(node, types));
    if (node.function == Function::kMatches) Pattern(node);
    return *result;
  }

  Type UnknownFunction(const Node& node, const std::vector<Type>& types) {
    if (FindFunction(node.name, !node.method)) {
      return Fail(node.offset, "no such overload: " + Spelled(node, types));
    }
    return Fail(node.offset, "unknown function '" + node.name + "'" +
                                 wire::DidYouMean(node.name, FunctionNames()));
  }

  void Pattern(Node& node) {
    const Node& pattern = *node.children[1];
    if (pattern.operation != Operation::kConstant || !pattern.constant.Is(Kind::kString)) return;
    std::string why;
    node.pattern = CompilePattern(pattern.constant.text(), &why);
    if (node.pattern == nullptr) Fail(pattern.offset, why);
  }

  Type Macro(Node& node) {
    const Type range = Visit(&node.children[0]);
    Type element;
    if (range.kind == TypeKind::kList || range.kind == TypeKind::kMap) {
      element = range.of[0];
    } else if (range.kind != TypeKind::kDyn) {
      return Fail(node.children[0]->offset,
                  "this macro goes over a list or a map, not over " + ToString(range));
    }
    node.slot = static_cast<int>(locals_.size());
    locals_.push_back({node.name, element});
    const Type result = Body(node, element);
    locals_.pop_back();
    return result;
  }

  Type Body(Node& node, const Type& element) {
    const bool transform = node.operation == Operation::kTransform;
    if (!transform || node.children.size() == 3) WantBool(&node.children[1], "the predicate");
    if (transform) return ListOf(Visit(&node.children.back()));
    return node.operation == Operation::kFilter ? ListOf(element) : Simple(TypeKind::kBool);
  }

  const Environment& environment_;
  const bool checking_;
  std::vector<Local> locals_;
  std::optional<SourceFault> fault_;
};

}  // namespace

std::optional<SourceFault> Resolve(const Environment& environment, Checking checking,
                                   NodePtr* root) {
  return Resolver(environment, checking).Run(root);
}

std::shared_ptr<const re2::RE2> CompilePattern(const std::string& pattern, std::string* why) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemory);
  auto compiled = std::make_shared<re2::RE2>(pattern, options);
  if (compiled->ok()) return compiled;
  *why = "this is no regular expression (RE2): " + compiled->error();
  return nullptr;
}

}  // namespace caudal::expr
