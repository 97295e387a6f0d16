#pragma once

/// The texts of numbers.

#include <optional>
#include <string>
#include <string_view>

namespace caudal::expr {

/// "0.5", "1e+06", "NaN", "+Inf": string() of a double.
std::string DoubleText(double number);

/// Without exponent: "1000000", "0.25".
std::string FixedText(double number);

/// double() of a string.
std::optional<double> ParseDouble(std::string_view text);

}  // namespace caudal::expr
