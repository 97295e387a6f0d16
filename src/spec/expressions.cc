#include "spec/internal/check.h"

namespace caudal::spec::internal {

expr::ProgramPtr Expressions::Compile(const std::string& text, expr::Scope scope,
                                      const std::string& path, Faults* faults) {
  const auto [known, is_new] = known_.try_emplace({scope, text}, expr::ProgramPtr());
  if (is_new) known->second = expr::Compile(text, scope);
  const base::Result<expr::ProgramPtr>& program = known->second;
  if (program.ok()) return *program;
  faults->Report(path, program.status().message());
  return nullptr;
}

}  // namespace caudal::spec::internal
