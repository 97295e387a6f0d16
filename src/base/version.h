#pragma once

/// The program's version, as every face of it reports.

namespace caudal::base {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace caudal::base
