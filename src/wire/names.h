#pragma once

/// Which name was meant: for "did you mean 'x'" in messages.

#include <string>
#include <string_view>
#include <vector>

namespace caudal::wire {

/// The entry of `names` that `wrong` most likely means, or empty when none is near (more than a
/// third of its letters would have to change).
std::string NearestName(std::string_view wrong, const std::vector<std::string>& names);

/// ", did you mean 'x'", or empty.
std::string DidYouMean(std::string_view wrong, const std::vector<std::string>& names);

}  // namespace caudal::wire
