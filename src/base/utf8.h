#pragma once

/// Text that may be too long for a message, or no text at all.
///
/// Whatever goes into a proto message must be UTF-8: protobuf writes other bytes, and then refuses
/// to read what it wrote.

#include <cstddef>
#include <string>
#include <string_view>

namespace caudal::base {

/// Whether `text` is UTF-8 to the letter: no overlong forms, no surrogates.
bool IsUtf8(std::string_view text);

/// `text` with U+FFFD in place of each byte that belongs to no character.
std::string ToUtf8(std::string_view text);

/// At most `max_bytes` bytes of `text`, ending between characters, and "…" where something was cut.
std::string Shortened(std::string_view text, size_t max_bytes);

}  // namespace caudal::base
