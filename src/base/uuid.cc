#include "base/uuid.h"

#include <openssl/sha.h>
#include <sys/random.h>

#include <array>
#include <cstdint>

#include "base/status.h"

namespace caudal::base {
namespace {

using Bytes = std::array<unsigned char, 16>;

void FillRandom(unsigned char* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = getrandom(data + done, size - done, 0);
    CAUDAL_CHECK(got > 0, "getrandom failed");
    done += static_cast<size_t>(got);
  }
}

std::string ToHex(const unsigned char* data, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[data[i] >> 4];
    text += kDigits[data[i] & 15];
  }
  return text;
}

std::string Format(Bytes bytes, int version) {
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | (version << 4));
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string hex = ToHex(bytes.data(), bytes.size());
  for (size_t dash : {8, 13, 18, 23}) hex.insert(dash, 1, '-');
  return hex;
}

}  // namespace

std::string NewUuid4() {
  Bytes bytes;
  FillRandom(bytes.data(), bytes.size());
  return Format(bytes, 4);
}

std::string NewUuid7(Time now) {
  Bytes bytes;
  FillRandom(bytes.data(), bytes.size());
  const auto millis = static_cast<uint64_t>(ToMicros(now) / 1000);
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<unsigned char>(millis >> (40 - 8 * i));
  return Format(bytes, 7);
}

std::string Uuid5(std::string_view name_space, std::string_view name) {
  std::string input;
  std::string hex;
  for (char c : name_space) {
    if (c != '-') hex += c;
  }
  CAUDAL_CHECK(hex.size() == 32, "Uuid5 wants a UUID as its namespace");
  for (size_t i = 0; i < hex.size(); i += 2) {
    input += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  input += name;
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest);
  Bytes bytes;
  std::copy(digest, digest + bytes.size(), bytes.begin());
  return Format(bytes, 5);
}

std::string RandomHex(int bytes) {
  std::string data(static_cast<size_t>(bytes), '\0');
  FillRandom(reinterpret_cast<unsigned char*>(data.data()), data.size());
  return ToHex(reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

}  // namespace caudal::base
