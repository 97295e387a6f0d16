#pragma once

/// What may be text in a message.

#include <string_view>

namespace caudal::launcher::internal {

/// Whether `text` is UTF-8 to the letter: no overlong forms, no surrogates.
bool IsUtf8(std::string_view text);

}  // namespace caudal::launcher::internal
