#include "spec/internal/macros.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <optional>

namespace caudal::spec::internal {
namespace {

constexpr std::string_view kDefaultLayout = "20060102150405";

std::tm Broken(base::Time time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  return parts;
}

std::string Format(const std::tm& time, const char* format) {
  std::array<char, 256> buffer;
  const size_t size = std::strftime(buffer.data(), buffer.size(), format, &time);
  return std::string(buffer.data(), size);
}

/// One element of a Go layout and the strftime format that means the same; longer ones first where
/// one begins another.
struct Element {
  std::string_view layout;
  const char* format;
};
constexpr Element kElements[] = {
    {"January", "%B"},
    {"Jan", "%b"},
    {"Monday", "%A"},
    {"Mon", "%a"},
    {"MST", "UTC"},
    {"2006", "%Y"},
    {"002", "%j"},
    {"01", "%m"},
    {"02", "%d"},
    {"03", "%I"},
    {"04", "%M"},
    {"05", "%S"},
    {"06", "%y"},
    {"15", "%H"},
    {"PM", "%p"},
    {"pm", "%P"},
    {"__2", "%_j"},
    {"_2006", "_%Y"},
    {"_2", "%e"},
    {"1", "%-m"},
    {"2", "%-d"},
    {"3", "%-I"},
    {"4", "%-M"},
    {"5", "%-S"},
    {"Z070000", "Z"},
    {"Z07:00:00", "Z"},
    {"Z0700", "Z"},
    {"Z07:00", "Z"},
    {"Z07", "Z"},
    {"-070000", "+000000"},
    {"-07:00:00", "+00:00:00"},
    {"-0700", "+0000"},
    {"-07:00", "+00:00"},
    {"-07", "+00"},
};

bool IsLower(std::string_view text) { return !text.empty() && text[0] >= 'a' && text[0] <= 'z'; }

const Element* FindElement(std::string_view layout) {
  for (const Element& element : kElements) {
    if (!layout.starts_with(element.layout)) continue;
    const bool is_short_name = element.layout == "Jan" || element.layout == "Mon";
    if (is_short_name && IsLower(layout.substr(3))) continue;  // "Janet" is no month
    return &element;
  }
  return nullptr;
}

/// ".000" or ",999" at the front, not followed by a digit: the fraction of a second.
size_t FractionLength(std::string_view layout) {
  if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',')) return 0;
  if (layout[1] != '0' && layout[1] != '9') return 0;
  const size_t end = std::min(layout.find_first_not_of(layout[1], 1), layout.size());
  const bool digit_follows = end < layout.size() && layout[end] >= '0' && layout[end] <= '9';
  return digit_follows ? 0 : end;
}

std::string Fraction(base::Time time, std::string_view layout) {
  const auto part = time - std::chrono::floor<std::chrono::seconds>(time);
  std::array<char, 16> digits;
  std::snprintf(digits.data(), digits.size(), "%06d000", static_cast<int>(part.count()));
  std::string text(digits.data(), std::min<size_t>(layout.size() - 1, 9));
  if (layout[1] == '9') {
    while (text.ends_with('0')) text.pop_back();
    if (text.empty()) return "";
  }
  return layout[0] + text;
}

/// The time that "CurrentTime" or "ScheduledTime" stands for, if there is one.
std::optional<base::Time> TimeOf(std::string_view name, const MacroSource& source) {
  if (name == "CurrentTime" || name == "currentTime") return source.now;
  const bool is_scheduled = name == "ScheduledTime" || name == "scheduledTime";
  if (is_scheduled && source.has_scheduled_time) return source.scheduled_time;
  return std::nullopt;
}

/// What `[[name]]` stands for.
std::optional<std::string> BracketMacro(std::string_view name, const MacroSource& source) {
  if (name == "RunUUID") return source.run_id;
  const size_t dot = name.find('.');
  const auto time = TimeOf(name.substr(0, dot), source);
  if (!time || name[0] < 'A' || name[0] > 'Z') return std::nullopt;
  return FormatGoLayout(*time,
                        dot == std::string_view::npos ? kDefaultLayout : name.substr(dot + 1));
}

/// What `{{$.expression}}` stands for: currentTime.strftime('…') and the like.
std::optional<std::string> BraceMacro(std::string_view expression, const MacroSource& source) {
  constexpr std::string_view kCall = ".strftime('";
  const size_t call = expression.find(kCall);
  if (call == std::string_view::npos || !expression.ends_with("')")) return std::nullopt;
  const size_t start = call + kCall.size();
  if (expression.size() < start + 2) return std::nullopt;
  const auto time = TimeOf(expression.substr(0, call), source);
  if (!time || expression[0] < 'a') return std::nullopt;
  std::string text;
  const std::string_view format = expression.substr(start, expression.size() - start - 2);
  if (!FormatStrftime(*time, format, &text)) return std::nullopt;
  return text;
}

/// Where the macro that begins at the front with `open` ends; 0 when it does not end on its line.
size_t MacroEnd(std::string_view text, std::string_view open, std::string_view close) {
  if (!text.starts_with(open)) return 0;
  const size_t end = text.find(close, open.size());
  if (end == std::string_view::npos || text.substr(0, end).find('\n') != std::string_view::npos) {
    return 0;
  }
  return end + close.size();
}

}  // namespace

std::string FormatGoLayout(base::Time time, std::string_view layout) {
  const std::tm parts = Broken(time);
  std::string text;
  while (!layout.empty()) {
    if (const Element* element = FindElement(layout)) {
      text += Format(parts, element->format);
      layout.remove_prefix(element->layout.size());
    } else if (const size_t length = FractionLength(layout)) {
      text += Fraction(time, layout.substr(0, length));
      layout.remove_prefix(length);
    } else {
      text += layout[0];
      layout.remove_prefix(1);
    }
  }
  return text;
}

bool FormatStrftime(base::Time time, std::string_view format, std::string* out) {
  constexpr std::string_view kLetters = "AaBbCcDdeFHhIjklMmnpRrSTtUuVWwXxYyZz%";
  const std::tm parts = Broken(time);
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      *out += format[i];
      continue;
    }
    if (++i == format.size()) return false;
    if (format[i] == 's') {
      *out +=
          std::to_string(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
    } else if (format[i] == 'v') {
      *out += Format(parts, "%e-%b-%Y");
    } else if (format[i] == 'Z') {
      *out += "UTC";
    } else if (kLetters.find(format[i]) != std::string_view::npos) {
      const char letter[] = {'%', format[i], '\0'};
      *out += Format(parts, letter);
    } else {
      return false;
    }
  }
  return true;
}

std::string ExpandMacros(const std::string& text, const MacroSource& source) {
  std::string out;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t bracket = MacroEnd(rest, "[[", "]]");
    const size_t brace = bracket > 0 ? 0 : MacroEnd(rest, "{{$.", "}}");
    const size_t length = std::max(bracket, brace);
    if (length == 0) {
      out += rest[0];
      rest.remove_prefix(1);
      continue;
    }
    const std::string_view macro = rest.substr(0, length);
    const auto value = bracket > 0 ? BracketMacro(macro.substr(2, length - 4), source)
                                   : BraceMacro(macro.substr(4, length - 6), source);
    out += value ? *value : macro;
    rest.remove_prefix(length);
  }
  return out;
}

}  // namespace caudal::spec::internal
