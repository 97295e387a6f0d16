#pragma once

/// What a client may say about where a run comes from and what its steps get: sizes and forms.

#include <string>

#include "base/status.h"
#include "caudal/v1/origin.pb.h"

namespace caudal::service {

/// Whether `text` is a SHA-256 as lower-case hex.
bool IsSha256(const std::string& text);

/// Errors: kInvalidArgument with every fault.
base::Status CheckOrigin(const v1::RunOrigin& origin);

/// Errors: kInvalidArgument with every fault; values of variables are never in a message.
base::Status CheckSettings(const v1::RunSettings& settings);

}  // namespace caudal::service
