#pragma once

/// Archives as a stranger would make them: names, kinds and sizes are written as given, good or
/// not.

#include <zlib.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace caudal::archive::testing {

struct RawEntry {
  std::string name;
  std::string content;
  char type = '0';  ///< of a tar: '0' file, '1' hard link, '2' symlink, '3' device, '5' folder …
  std::string link = {};
  unsigned mode = 0644;
};

inline std::string RawTar(const std::vector<RawEntry>& entries) {
  std::string tar;
  for (const RawEntry& entry : entries) {
    char header[513] = {};
    std::snprintf(header, 101, "%s", entry.name.c_str());
    std::snprintf(header + 100, 8, "%07o", entry.mode);
    std::snprintf(header + 124, 12, "%011o", static_cast<unsigned>(entry.content.size()));
    std::snprintf(header + 148, 9, "        ");
    header[156] = entry.type;
    std::snprintf(header + 157, 100, "%s", entry.link.c_str());
    std::snprintf(header + 257, 9, "ustar%c00", ' ');
    header[262] = '\0';
    unsigned sum = 0;
    for (int i = 0; i < 512; ++i) sum += static_cast<unsigned char>(header[i]);
    std::snprintf(header + 148, 8, "%06o", sum);
    tar.append(header, 512);
    tar += entry.content;
    tar.append((512 - entry.content.size() % 512) % 512, '\0');
  }
  return tar.append(1024, '\0');
}

// 31 asks zlib for a gzip frame, -15 for none.
inline std::string Deflate(std::string_view data, int window_bits) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string Gzip(std::string_view data) { return Deflate(data, 31); }

inline std::string RawTarGz(const std::vector<RawEntry>& entries) { return Gzip(RawTar(entries)); }

inline std::string LittleEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

/// A zip made on Unix; `type` '2' makes a symlink whose target is the content.
inline std::string RawZip(const std::vector<RawEntry>& entries) {
  std::string zip;
  std::string directory;
  for (const RawEntry& entry : entries) {
    const std::string packed = Deflate(entry.content, -15);
    const auto* bytes = reinterpret_cast<const Bytef*>(entry.content.data());
    const uint64_t crc = crc32(0, bytes, static_cast<uInt>(entry.content.size()));
    const unsigned kind = entry.type == '2' ? 0120000 : entry.type == '5' ? 0040000 : 0100000;
    const std::string common = LittleEndian(20, 2) + LittleEndian(0x0800, 2) + LittleEndian(8, 2) +
                               LittleEndian(0, 4) + LittleEndian(crc, 4) +
                               LittleEndian(packed.size(), 4) +
                               LittleEndian(entry.content.size(), 4) +
                               LittleEndian(entry.name.size(), 2) + LittleEndian(0, 2);
    directory += "PK\x01\x02" + LittleEndian(0x0314, 2) + common + LittleEndian(0, 6) +
                 LittleEndian((kind | entry.mode) << 16, 4) + LittleEndian(zip.size(), 4) +
                 entry.name;
    zip += "PK\x03\x04" + common + entry.name + packed;
  }
  return zip + directory + "PK\x05\x06" + LittleEndian(0, 4) + LittleEndian(entries.size(), 2) +
         LittleEndian(entries.size(), 2) + LittleEndian(directory.size(), 4) +
         LittleEndian(zip.size(), 4) + LittleEndian(0, 2);
}

}  // namespace caudal::archive::testing
