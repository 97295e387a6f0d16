#pragma once

/// Kubernetes quantities: "500m", "2", "1.5Gi", "1e3".

#include <cstdint>
#include <optional>
#include <string_view>

namespace caudal::base {

/// The quantity times `scale` (1000 for milli-cores, 1 for bytes), rounded up; nullopt when the
/// text is no quantity, is negative, or does not fit.
std::optional<int64_t> ParseQuantity(std::string_view text, int64_t scale);

}  // namespace caudal::base
