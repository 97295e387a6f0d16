#pragma once

/// Pieces of JSON text shared by reader and writer: strings, numbers, times and base64.

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <string_view>

namespace caudal::wire::internal {

/// Whether `<`, `>`, `&`, U+2028 and U+2029 are written as \uXXXX, as Go's encoder does by default.
enum class HtmlEscapes { kNo, kYes };

/// Appends `text` quoted. Bytes that are not UTF-8 become U+FFFD, so the result is always JSON.
void AppendString(std::string_view text, HtmlEscapes html, std::string* out);

/// Appends a finite number as Go's encoder does: shortest digits, exponent only below 1e-6 and from
/// 1e21 on.
void AppendNumber(double number, std::string* out);
void AppendNumber(float number, std::string* out);

/// RFC 3339 in UTC; a fraction of 3, 6 or 9 digits only when there is one.
std::string TimestampText(const google::protobuf::Timestamp& time);
/// Any offset. False when `text` is no such time between the years 1 and 9999.
bool ParseTimestamp(std::string_view text, google::protobuf::Timestamp* time);

/// "90s", "1.500s".
std::string DurationText(const google::protobuf::Duration& duration);
bool ParseDuration(std::string_view text, google::protobuf::Duration* duration);

/// Standard alphabet with padding.
std::string Base64(std::string_view bytes);
/// Standard or URL alphabet, with or without padding.
bool ParseBase64(std::string_view text, std::string* bytes);

}  // namespace caudal::wire::internal
