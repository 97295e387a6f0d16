#include "expr/expr.h"

#include <algorithm>

#include "base/utf8.h"
#include "expr/internal/evaluate.h"
#include "expr/internal/json.h"
#include "expr/internal/scope.h"

namespace caudal::expr {
namespace {

bool IsParameterValues(const Node& node) {
  return node.operation == Operation::kSelect && node.name == "parameter_values" &&
         node.children[0]->operation == Operation::kVariable && node.children[0]->name == "inputs";
}

/// The parameter that this node reads by a literal name, or empty.
std::string ParameterOf(const Node& node) {
  const bool field = node.operation == Operation::kSelect || node.operation == Operation::kHas;
  if (field && IsParameterValues(*node.children[0])) return node.name;
  if (node.operation != Operation::kCall || node.children.size() != 2) return "";
  const Node &left = *node.children[0], &right = *node.children[1];
  if (node.function != Function::kIndex || !IsParameterValues(left)) return "";
  const bool literal = right.operation == Operation::kConstant && right.constant.Is(Kind::kString);
  return literal ? right.constant.text() : "";
}

void CollectParameters(const Node& node, std::vector<std::string>* names) {
  std::string name = ParameterOf(node);
  if (!name.empty() && std::ranges::find(*names, name) == names->end()) {
    names->push_back(std::move(name));
  }
  for (const NodePtr& child : node.children) CollectParameters(*child, names);
}

}  // namespace

base::Result<ProgramPtr> Compile(std::string_view text, Scope scope) {
  if (!base::IsUtf8(text)) return base::InvalidArgument("the expression is not UTF-8 text");
  return CompileIn(text, EnvironmentOf(scope), Checking::kOn);
}

const std::string& TextOf(const Program& program) { return program.text; }

std::vector<std::string> ParametersOf(const Program& program) {
  std::vector<std::string> names;
  CollectParameters(*program.root, &names);
  return names;
}

base::Result<bool> EvaluateCondition(const Program& program, const Parameters& parameters,
                                     const Artifacts& artifacts) {
  Budget budget;
  CAUDAL_ASSIGN(const Value value,
                Evaluate(*program.root, ConditionVariables(parameters, artifacts), budget));
  if (value.Is(Kind::kBool)) return value.boolean();
  return base::InvalidArgument("the result of a condition must be a bool, not " +
                               std::string(TypeNameOf(value)));
}

base::Result<google::protobuf::Value> EvaluateSelector(const Program& program,
                                                       const google::protobuf::Value& value) {
  Budget budget;
  CAUDAL_ASSIGN(const Value selected, Evaluate(*program.root, SelectorVariables(value), budget));
  if (selected.Is(Kind::kNull)) return base::InvalidArgument("the result is null");
  return Wrapped(selected, budget);
}

}  // namespace caudal::expr
