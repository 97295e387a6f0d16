#pragma once

/// Names, ages and counts as people read them; widths and durations are in text.h.

#include <cstdint>
#include <string>
#include <string_view>

namespace caudal::cli {

/// Without line feeds and other control characters, which text from elsewhere may hold: each
/// becomes a space. Bytes that are no UTF-8 become U+FFFD.
std::string Printable(std::string_view text);

/// In lower case, of ASCII letters.
std::string Lowercase(std::string_view text);

/// "digits" of "pipelines/digits.tar.gz".
std::string FileStem(std::string_view path);

/// "just now", "12 s ago", "3 min ago", "2 h ago", "5 d ago", then the date. Micros since 1970.
std::string AgeText(int64_t then_micros, int64_t now_micros);

/// "3 runs", "1 run".
std::string CountText(int64_t count, std::string_view thing);

}  // namespace caudal::cli
