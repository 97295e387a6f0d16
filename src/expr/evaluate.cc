#include "expr/internal/evaluate.h"

#include "expr/internal/parser.h"

namespace caudal::expr {
namespace {

/// Walks the tree; its depth is bounded by the parser, and loops by the budget.
class Evaluator {
 public:
  Evaluator(const Lookup& lookup, Budget& budget) : lookup_(lookup), budget_(budget) {}

  Outcome Visit(const Node& node) {
    if (!budget_.Step()) return budget_.Error();
    switch (node.operation) {
      case Operation::kConstant:
        return node.constant;
      case Operation::kVariable:
        return Variable(node);
      case Operation::kLocal:
        return locals_[static_cast<size_t>(node.slot)];
      case Operation::kSelect:
        return Select(node);
      case Operation::kHas:
        return Has(node);
      case Operation::kList:
        return ListLiteral(node);
      case Operation::kMap:
        return MapLiteral(node);
      case Operation::kAnd:
        return Logic(node, false);
      case Operation::kOr:
        return Logic(node, true);
      case Operation::kConditional:
        return Conditional(node);
      case Operation::kCall:
        return Call(node);
      case Operation::kAll:
        return Search(node, false);
      case Operation::kExists:
        return Search(node, true);
      case Operation::kExistsOne:
        return ExistsOne(node);
      case Operation::kFilter:
      case Operation::kTransform:
        return Collect(node);
    }
    return base::Internal("no such operation");
  }

 private:
  Outcome Variable(const Node& node) {
    auto value = lookup_(node.name);
    if (!value) return base::InvalidArgument("no such attribute: " + node.name);
    return *std::move(value);
  }

  static base::Status NoKey(const std::string& name) {
    return base::InvalidArgument("no such key: " + name);
  }
  static base::Status NoFields(const Value& value, const std::string& name) {
    return base::InvalidArgument("no such key: " + name + " (a value of type " +
                                 std::string(TypeNameOf(value)) + " has no fields)");
  }

  Outcome Select(const Node& node) {
    const Outcome object = Visit(*node.children[0]);
    if (!object.ok()) return object;
    if (object->Is(Kind::kRecord)) {
      const Value* field = object->record().Find(node.name);
      if (field == nullptr) return NoKey(node.name);
      return *field;
    }
    if (!object->Is(Kind::kMap)) return NoFields(*object, node.name);
    auto value = object->map().Find(Value::Borrowed(node.name));
    if (!value) return NoKey(node.name);
    return *std::move(value);
  }

  Outcome Has(const Node& node) {
    const Outcome object = Visit(*node.children[0]);
    if (!object.ok()) return object;
    if (object->Is(Kind::kRecord)) {
      const Value* field = object->record().Find(node.name);
      if (field == nullptr) return NoKey(node.name);
      return Value::OfBool(IsSet(*field));
    }
    if (!object->Is(Kind::kMap)) return NoFields(*object, node.name);
    return Value::OfBool(object->map().Find(Value::Borrowed(node.name)).has_value());
  }

  Outcome ListLiteral(const Node& node) {
    std::vector<Value> elements;
    if (!budget_.Produce(node.children.size() * sizeof(Value))) return budget_.Error();
    for (const NodePtr& child : node.children) {
      Outcome element = Visit(*child);
      if (!element.ok()) return element;
      elements.push_back(*std::move(element));
    }
    return Value::OfList(std::move(elements));
  }

  Outcome MapLiteral(const Node& node) {
    std::vector<std::pair<Value, Value>> entries;
    if (!budget_.Produce(node.children.size() * sizeof(Value))) return budget_.Error();
    for (size_t i = 0; i < node.children.size(); i += 2) {
      Outcome key = Visit(*node.children[i]);
      if (!key.ok()) return key;
      Outcome value = Visit(*node.children[i + 1]);
      if (!value.ok()) return value;
      entries.emplace_back(*std::move(key), *std::move(value));
    }
    return MakeMap(std::move(entries));
  }

  /// && and ||: `decisive` is the operand that settles it. An error waits until it is clear that no
  /// other operand is decisive.
  Outcome Logic(const Node& node, bool decisive) {
    base::Status error;
    for (const NodePtr& child : node.children) {
      const base::Result<bool> operand = Bool(*child, decisive ? "||" : "&&");
      if (budget_.spent()) return budget_.Error();
      if (!operand.ok()) {
        if (error.ok()) error = operand.status();
      } else if (*operand == decisive) {
        return Value::OfBool(decisive);
      }
    }
    if (!error.ok()) return error;
    return Value::OfBool(!decisive);
  }

  base::Result<bool> Bool(const Node& node, const std::string& who) {
    const Outcome value = Visit(node);
    if (!value.ok()) return value.status();
    if (value->Is(Kind::kBool)) return value->boolean();
    return base::InvalidArgument("no such overload: '" + who + "' wants a bool, got " +
                                 std::string(TypeNameOf(*value)));
  }

  Outcome Conditional(const Node& node) {
    CAUDAL_ASSIGN(const bool condition, Bool(*node.children[0], "?"));
    return Visit(*node.children[condition ? 1 : 2]);
  }

  Outcome Call(const Node& node) {
    std::vector<Value> arguments;
    arguments.reserve(node.children.size());
    for (const NodePtr& child : node.children) {
      Outcome argument = Visit(*child);
      if (!argument.ok()) return argument;
      arguments.push_back(*std::move(argument));
    }
    Outcome result = Apply(node, arguments, budget_);
    if (budget_.spent()) return budget_.Error();
    return result;
  }

  /// What a macro goes over: elements of a list, keys of a map.
  class Range {
   public:
    static base::Result<Range> Of(Outcome value, Budget& budget) {
      Range range;
      if (!value.ok()) return value.status();
      if (value->Is(Kind::kMap)) {
        if (!budget.Produce(value->map().size() * sizeof(Value))) return budget.Error();
        range.keys_ = value->map().Keys();
      } else if (!value->Is(Kind::kList)) {
        return base::InvalidArgument(
            "no such overload: a macro goes over a list or a map, not over " +
            std::string(TypeNameOf(*value)));
      }
      range.value_ = *std::move(value);
      return range;
    }
    size_t size() const { return value_.Is(Kind::kMap) ? keys_.size() : value_.list().size(); }
    Value At(size_t index) const {
      return value_.Is(Kind::kMap) ? keys_[index] : value_.list().At(index);
    }

   private:
    Value value_;
    std::vector<Value> keys_;
  };

  base::Result<Range> Enter(const Node& node) {
    auto range = Range::Of(Visit(*node.children[0]), budget_);
    locals_.resize(static_cast<size_t>(node.slot) + 1);
    return range;
  }

  void Bind(const Node& node, Value value) {
    locals_.resize(static_cast<size_t>(node.slot) + 1);
    locals_.back() = std::move(value);
  }

  /// all() and exists(), with the rules of && and ||.
  Outcome Search(const Node& node, bool decisive) {
    CAUDAL_ASSIGN(const Range range, Enter(node));
    base::Status error;
    for (size_t i = 0; i < range.size(); ++i) {
      Bind(node, range.At(i));
      const base::Result<bool> found = Bool(*node.children[1], decisive ? "exists" : "all");
      if (budget_.spent()) return budget_.Error();
      if (!found.ok()) {
        if (error.ok()) error = found.status();
      } else if (*found == decisive) {
        return Value::OfBool(decisive);
      }
    }
    if (!error.ok()) return error;
    return Value::OfBool(!decisive);
  }

  Outcome ExistsOne(const Node& node) {
    CAUDAL_ASSIGN(const Range range, Enter(node));
    size_t count = 0;
    for (size_t i = 0; i < range.size(); ++i) {
      Bind(node, range.At(i));
      CAUDAL_ASSIGN(const bool found, Bool(*node.children[1], "exists_one"));
      if (found) ++count;
    }
    return Value::OfBool(count == 1);
  }

  /// filter() and map().
  Outcome Collect(const Node& node) {
    CAUDAL_ASSIGN(const Range range, Enter(node));
    const bool transform = node.operation == Operation::kTransform;
    const bool filtered = !transform || node.children.size() == 3;
    std::vector<Value> elements;
    for (size_t i = 0; i < range.size(); ++i) {
      Bind(node, range.At(i));
      if (filtered) {
        CAUDAL_ASSIGN(const bool taken, Bool(*node.children[1], transform ? "map" : "filter"));
        if (!taken) continue;
      }
      Outcome element = transform ? Visit(*node.children.back()) : Outcome(range.At(i));
      if (!element.ok()) return element;
      if (!budget_.Produce(sizeof(Value))) return budget_.Error();
      elements.push_back(*std::move(element));
    }
    return Value::OfList(std::move(elements));
  }

  const Lookup& lookup_;
  Budget& budget_;
  std::vector<Value> locals_;
};

}  // namespace

base::Result<ProgramPtr> CompileIn(std::string_view text, const Environment& environment,
                                   Checking checking) {
  auto program = std::make_shared<Program>();
  program->text = text;
  Parsed parsed = Parse(text);
  if (!parsed.root) return ToStatus(parsed.fault, text);
  program->root = std::move(parsed.root);
  const auto fault = Resolve(environment, checking, &program->root);
  if (fault) return ToStatus(*fault, text);
  return ProgramPtr(program);
}

Outcome Evaluate(const Node& root, const Lookup& lookup, Budget& budget) {
  return Evaluator(lookup, budget).Visit(root);
}

}  // namespace caudal::expr
