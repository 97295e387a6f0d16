#pragma once

/// Text for people: how wide it is on a terminal, how it is cut, how amounts are written.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace caudal::cli {

/// How text is dressed.
struct Style {
  bool color = false;
  int columns = 0;  ///< of the terminal; longer lines are cut; 0: never
  int rows = 0;     ///< of the terminal; a taller tree is shortened; 0: never
};

/// Colours and the like, as the parameters of ESC [ … m.
inline constexpr std::string_view kRed = "31";
inline constexpr std::string_view kGreen = "32";
inline constexpr std::string_view kYellow = "33";
inline constexpr std::string_view kCyan = "36";
inline constexpr std::string_view kDim = "2";
inline constexpr std::string_view kBold = "1";

/// `text` in that dress where the style has colours. An empty dress is none.
std::string Dress(std::string_view text, std::string_view dress, const Style& style);

/// How many columns a terminal gives to `text`, which has no control characters.
size_t Columns(std::string_view text);
/// Cut to so many columns, with "…" as the last where something is missing.
std::string CutTo(const std::string& text, size_t columns);
/// The same for a path, of which the end tells more: "…/split/train.csv".
std::string CutPathTo(const std::string& path, size_t columns);
/// Blanks added up to so many columns.
std::string PadTo(std::string text, size_t columns);

/// How many bytes of a control character `text` begins with; 0: it begins with none. Those of two
/// bytes, U+0080 to U+009F, command terminals as well as ESC does.
size_t ControlLength(std::string_view text);

/// Up to the first line feed.
std::string FirstLine(const std::string& text);
/// The last line that shows something, as it would stand on a terminal: what a carriage return
/// overwrote, terminal sequences and other control characters are gone.
std::string LastShownLine(std::string_view log);
/// The last `count` lines in the same way, each ended by a line feed.
std::string LastShownLines(std::string_view log, int count);

/// "12 ms", "3.4 s", "2 min 5 s", "1 h 3 min".
std::string DurationText(int64_t micros);
/// For what is only guessed: "6 s", "2 min", "1 h 10 min".
std::string RoughDurationText(int64_t micros);
/// "812 B", "1.2 MB", "3.4 GB": thousands, as file managers show them.
std::string SizeText(int64_t bytes);

}  // namespace caudal::cli
