#include "http/multipart.h"

#include <optional>
#include <utility>

#include "http/server.h"

namespace caudal::http {
namespace {

constexpr std::string_view kCrlf = "\r\n";
constexpr size_t kMaxParts = 1000;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Reads a quoted string from its opening quote and moves `text` past the closing one. A backslash
// escapes only a quote or itself: some clients send Windows paths without escaping anything.
std::string TakeQuoted(std::string_view* text) {
  std::string value;
  size_t i = 1;
  for (; i < text->size() && (*text)[i] != '"'; ++i) {
    const char next = i + 1 < text->size() ? (*text)[i + 1] : '\0';
    if ((*text)[i] == '\\' && (next == '"' || next == '\\')) ++i;
    value += (*text)[i];
  }
  text->remove_prefix(i < text->size() ? i + 1 : i);
  return value;
}

struct HeaderValue {
  std::string_view main;
  std::vector<std::pair<std::string, std::string>> parameters;  // as written

  const std::string* Find(std::string_view name) const {
    for (const auto& [key, value] : parameters) {
      if (EqualsIgnoringCase(key, name)) return &value;
    }
    return nullptr;
  }
};

// `form-data; name="x"; filename="y"`.
HeaderValue ParseHeaderValue(std::string_view text) {
  HeaderValue parsed;
  parsed.main = Trim(text.substr(0, text.find(';')));
  size_t semicolon = text.find(';');
  while (semicolon != std::string_view::npos) {
    text.remove_prefix(semicolon + 1);
    const size_t end = text.find_first_of("=;");
    const std::string_view name = Trim(text.substr(0, end));
    if (end == std::string_view::npos) break;
    if (text[end] == '=') {
      text.remove_prefix(end + 1);
      const size_t start = text.find_first_not_of(" \t");
      text.remove_prefix(start == std::string_view::npos ? text.size() : start);
      std::string value = text.starts_with('"') ? TakeQuoted(&text)
                                                : std::string(Trim(text.substr(0, text.find(';'))));
      parsed.parameters.emplace_back(name, std::move(value));
    }
    semicolon = text.find(';');
  }
  return parsed;
}

// RFC 5987: charset'language'percent-encoded.
std::optional<std::string> DecodeExtended(std::string_view value) {
  const size_t first = value.find('\'');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = value.find('\'', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  if (!EqualsIgnoringCase(value.substr(0, first), "utf-8")) return std::nullopt;
  return PercentDecode(value.substr(second + 1), false);
}

// A delimiter line found in the body: what follows it, and whether it is the last one.
struct Delimiter {
  size_t start = 0;  // of the line break before it, or of the delimiter at the very beginning
  size_t end = 0;    // first byte after its line
  bool is_final = false;
};

// The next delimiter at or after `from`. `delimiter` is "--" and the boundary. Binary content may
// hold the same bytes: only a whole line counts.
std::optional<Delimiter> FindDelimiter(std::string_view body, std::string_view delimiter,
                                       size_t from) {
  for (size_t at = body.find(delimiter, from); at != std::string_view::npos;
       at = body.find(delimiter, at + 1)) {
    const bool starts_line = at >= 2 && body.substr(at - 2, 2) == kCrlf;
    if (at != 0 && !starts_line) continue;
    Delimiter found;
    found.start = at == 0 ? 0 : at - 2;
    const std::string_view rest = body.substr(at + delimiter.size());
    if (rest.starts_with("--")) {
      found.is_final = true;
      found.end = body.size();
      return found;
    }
    const size_t text = rest.find_first_not_of(" \t");
    if (text == std::string_view::npos || rest.substr(text, 2) != kCrlf) continue;
    found.end = at + delimiter.size() + text + 2;
    return found;
  }
  return std::nullopt;
}

base::Result<FormPart> ParsePart(std::string_view text) {
  FormPart part;
  bool has_name = false;
  while (!text.starts_with(kCrlf)) {
    const size_t end = text.find(kCrlf);
    if (end == std::string_view::npos) {
      return base::InvalidArgument("a part of the form has no blank line after its header");
    }
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (!EqualsIgnoringCase(Trim(line.substr(0, colon)), "content-disposition")) continue;
    const HeaderValue value = ParseHeaderValue(line.substr(colon + 1));
    if (const std::string* name = value.Find("name")) {
      part.name = *name;
      has_name = true;
    }
    if (const std::string* name = value.Find("filename")) part.filename = *name;
    if (const std::string* name = value.Find("filename*")) {
      if (auto decoded = DecodeExtended(*name)) part.filename = *std::move(decoded);
    }
  }
  if (!has_name) {
    return base::InvalidArgument(
        "a part of the form has no name; its Content-Disposition must say form-data; name=\"...\"");
  }
  part.content = text.substr(2);
  return part;
}

}  // namespace

base::Result<std::vector<FormPart>> ParseMultipart(std::string_view content_type,
                                                   std::string_view body) {
  const HeaderValue type = ParseHeaderValue(content_type);
  if (!EqualsIgnoringCase(type.main, "multipart/form-data")) {
    return base::InvalidArgument("content type '" + std::string(content_type) +
                                 "' is not multipart/form-data");
  }
  const std::string* boundary = type.Find("boundary");
  if (boundary == nullptr || boundary->empty()) {
    return base::InvalidArgument("content type '" + std::string(content_type) +
                                 "' names no boundary");
  }
  const std::string delimiter = "--" + *boundary;
  std::optional<Delimiter> current = FindDelimiter(body, delimiter, 0);
  if (!current) {
    return base::InvalidArgument("the form does not hold its boundary '" + *boundary + "'");
  }
  std::vector<FormPart> parts;
  while (!current->is_final) {
    const std::optional<Delimiter> next = FindDelimiter(body, delimiter, current->end);
    if (!next) {
      return base::InvalidArgument("the form ends without its final boundary '" + delimiter +
                                   "--'; the upload was cut short");
    }
    if (parts.size() == kMaxParts) {
      return base::InvalidArgument("the form has more than " + std::to_string(kMaxParts) +
                                   " parts");
    }
    const size_t end = next->start < current->end ? current->end : next->start;
    std::string_view text = body.substr(current->end, end - current->end);
    // In a part without content, one line break may end the header and start the next delimiter.
    if (text.find("\r\n\r\n") == std::string_view::npos) {
      text = body.substr(current->end, text.size() + 2);
    }
    CAUDAL_ASSIGN(FormPart part, ParsePart(text));
    parts.push_back(std::move(part));
    current = next;
  }
  return parts;
}

}  // namespace caudal::http
