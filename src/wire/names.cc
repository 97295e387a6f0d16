#include "wire/names.h"

#include <algorithm>

namespace caudal::wire {
namespace {

// Comparing is quadratic, and input may be hostile: nobody mistypes longer names than this, and a
// suggestion is not worth more candidates.
constexpr size_t kLongestName = 100;
constexpr size_t kMostNames = 1000;

/// Edits (insert, delete, replace, swap neighbours) between two names.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string NearestName(std::string_view wrong, const std::vector<std::string>& names) {
  if (wrong.size() > kLongestName) return "";
  std::string nearest;
  size_t best = std::max<size_t>(1, wrong.size() / 3) + 1;
  for (size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    const std::string& name = names[i];
    if (name.size() >= wrong.size() + best || wrong.size() >= name.size() + best) continue;
    const size_t distance = EditDistance(wrong, name);
    const bool is_nearer = distance < best || (distance == best && name < nearest);
    if (!is_nearer || distance >= name.size()) continue;
    best = distance;
    nearest = name;
  }
  return nearest;
}

std::string DidYouMean(std::string_view wrong, const std::vector<std::string>& names) {
  const std::string nearest = NearestName(wrong, names);
  return nearest.empty() ? "" : ", did you mean '" + nearest + "'";
}

}  // namespace caudal::wire
