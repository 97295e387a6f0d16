#pragma once

/// Page tokens: opaque to clients, signed, complete (sort, filter and position).

#include <string>

#include "base/status.h"

namespace caudal::store {

struct PageToken {
  std::string resource;  ///< which list made it
  std::string sort_key;
  bool descending = false;
  std::string filter;      ///< as given, tag predicates included
  std::string sort_value;  ///< of the first row of the next page, as text
  std::string id;          ///< of that row
};

/// base64 of JSON and its keyed digest.
std::string EncodeToken(const PageToken& token, const std::string& secret);

/// Errors: kInvalidArgument for text that EncodeToken did not make with this secret and resource.
base::Result<PageToken> DecodeToken(const std::string& text, const std::string& resource,
                                    const std::string& secret);

}  // namespace caudal::store
