#pragma once

/// SHA-256 as lower-case hex, of a string or piece by piece.

#include <memory>
#include <string>
#include <string_view>

namespace caudal::base {

std::string Sha256Hex(std::string_view data);

/// Incremental digest. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Update(std::string_view data);
  /// The digest of everything so far; call once, last.
  std::string FinishHex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace caudal::base
