#include "base/quantity.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace caudal::base {
namespace {

std::optional<double> SuffixFactor(std::string_view suffix) {
  static constexpr std::array<std::pair<std::string_view, double>, 17> kFactors{{
      {"", 1},
      {"n", 1e-9},
      {"u", 1e-6},
      {"m", 1e-3},
      {"k", 1e3},
      {"M", 1e6},
      {"G", 1e9},
      {"T", 1e12},
      {"P", 1e15},
      {"E", 1e18},
      {"Ki", 1024.0},
      {"Mi", 1048576.0},
      {"Gi", 1073741824.0},
      {"Ti", 1099511627776.0},
      {"Pi", 1125899906842624.0},
      {"Ei", 1152921504606846976.0},
      {"K", 1e3},
  }};
  for (const auto& [name, factor] : kFactors) {
    if (name == suffix) return factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> ParseQuantity(std::string_view text, int64_t scale) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double number = 0;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || number < 0 || !std::isfinite(number)) return std::nullopt;
  const auto factor = SuffixFactor({parsed.ptr, static_cast<size_t>(end - parsed.ptr)});
  if (!factor) return std::nullopt;
  // A hair below the exact value must not become one more: 0.1 cores are 100 milli-cores.
  const double result = std::ceil(number * *factor * static_cast<double>(scale) - 1e-6);
  if (result > 9e18) return std::nullopt;
  return static_cast<int64_t>(result);
}

}  // namespace caudal::base
