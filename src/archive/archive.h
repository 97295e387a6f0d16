#pragma once

/// Archives of strangers: what comes out is bounded, and no entry leaves the place it is unpacked
/// to. The only room that knows libarchive.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace caudal::archive {

/// What one archive may hold. Exceeding any is kInvalidArgument, with the limit in the message.
struct Limits {
  int64_t total_bytes = 64LL << 20;  ///< of all entries, unpacked
  int64_t max_ratio = 200;           ///< unpacked to packed, once over 1 MiB is unpacked
  int max_entries = 10'000;
  int max_depth = 32;  ///< folders above an entry
};

/// One regular file of an archive.
struct Entry {
  std::string path;  ///< relative, without "." and ".."
  std::string content;
  bool is_executable = false;
};

enum class Format { kNone, kZip, kTarGz, kTar };

/// By the first bytes, never by name.
Format Sniff(std::string_view content);

/// All regular files, in the archive's order. Errors: kInvalidArgument for a broken archive, a path
/// that is absolute or leaves the root, a link, a device, or a limit.
base::Result<std::vector<Entry>> Read(std::string_view content, const Limits& limits);

/// Unpacks a tar below `directory`, which exists and is empty: files 0644 or 0755, folders 0755,
/// each flushed. Errors: as Read, and those of the disk; what was written so far stays.
base::Status Unpack(std::string_view tar, const std::string& directory, const Limits& limits);

/// The same files always give the same bytes: sorted by path, no times, no owners, modes 0644 or
/// 0755.
base::Result<std::string> CanonicalTar(std::vector<Entry> entries);

}  // namespace caudal::archive
