#pragma once

/// UUIDs as 36-character lower-case text (RFC 9562).

#include <string>
#include <string_view>

#include "base/clock.h"

namespace caudal::base {

/// Random (version 4). Thread-safe.
std::string NewUuid4();
/// Time-ordered (version 7), for ids that should sort by creation. Thread-safe.
std::string NewUuid7(Time now);
/// Name-based (version 5): the same namespace and name give the same id for ever.
/// `name_space` must be a UUID in text form.
std::string Uuid5(std::string_view name_space, std::string_view name);
/// `bytes` bytes from the kernel's generator, as lower-case hex.
std::string RandomHex(int bytes);

}  // namespace caudal::base
