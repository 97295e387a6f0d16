#include <string.h>

#include "expr/internal/evaluate.h"

namespace caudal::expr {
namespace {

bool ContainsText(const std::string& text, const std::string& part) {
  // memmem takes linear time, which std::string::find does not promise
  return part.empty() || memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

/// A pattern that is no constant is compiled each time, which costs as much as many steps.
Outcome Matches(const Node& call, const std::string& text, const std::string& pattern,
                Budget& budget) {
  std::shared_ptr<const re2::RE2> compiled = call.pattern;
  if (compiled == nullptr) {
    if (!budget.Step(200 + static_cast<int64_t>(pattern.size()))) return budget.Error();
    std::string why;
    compiled = CompilePattern(pattern, &why);
    if (compiled == nullptr) return base::InvalidArgument(why);
  }
  const auto work = static_cast<uint64_t>(compiled->ProgramSize()) * text.size();
  // without memory for its automaton RE2 walks the program for each byte
  if (!budget.Step(1 + static_cast<int64_t>(work / 256))) return budget.Error();
  return Value::OfBool(re2::RE2::PartialMatch(text, *compiled));
}

}  // namespace

Outcome ApplyText(const Node& call, const std::vector<Value>& arguments, Budget& budget) {
  if (!arguments[0].Is(Kind::kString) || !arguments[1].Is(Kind::kString)) {
    return NoOverload(call, arguments);
  }
  const std::string &text = arguments[0].text(), &part = arguments[1].text();
  switch (call.function) {
    case Function::kContains:
      if (!budget.Scan(text.size())) return budget.Error();
      return Value::OfBool(ContainsText(text, part));
    case Function::kStartsWith:
      if (!budget.Scan(part.size())) return budget.Error();
      return Value::OfBool(text.starts_with(part));
    case Function::kEndsWith:
      if (!budget.Scan(part.size())) return budget.Error();
      return Value::OfBool(text.ends_with(part));
    default:
      return Matches(call, text, part, budget);
  }
}

}  // namespace caudal::expr
