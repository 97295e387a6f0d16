#include <algorithm>
#include <cstdio>
#include <set>

#include "archive/archive.h"
#include "archive/internal/path.h"

namespace caudal::archive {
namespace {

using base::InvalidArgument;
using internal::Quoted;

constexpr size_t kBlock = 512;
constexpr size_t kNameBytes = 100;

/// One field of a tar header.
struct Field {
  size_t at;
  size_t size;
};
constexpr Field kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8};

void PutOctal(std::string* header, Field field, uint64_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "%0*llo", static_cast<int>(field.size - 1),
                static_cast<unsigned long long>(value));
  header->replace(field.at, field.size - 1, text);
}

// The checksum counts its own field as spaces.
void PutChecksum(std::string* header) {
  header->replace(kChecksum.at, kChecksum.size, kChecksum.size, ' ');
  unsigned sum = 0;
  for (const char c : *header) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  header->replace(kChecksum.at, 7, std::string(text, 7));
}

std::string Header(const std::string& name, char type, unsigned mode, size_t size) {
  std::string header(kBlock, '\0');
  header.replace(0, name.size(), name);
  PutOctal(&header, kMode, mode);
  PutOctal(&header, kUid, 0);
  PutOctal(&header, kGid, 0);
  PutOctal(&header, kSize, size);
  PutOctal(&header, kTime, 0);
  header[kType.at] = type;
  header.replace(kMagic.at, kMagic.size,
                 std::string("ustar\0"
                             "00",
                             8));
  PutChecksum(&header);
  return header;
}

void PutContent(std::string* tar, std::string_view content) {
  *tar += content;
  tar->append((kBlock - content.size() % kBlock) % kBlock, '\0');
}

// "LENGTH path=NAME\n", where the length counts itself.
std::string PaxRecord(const std::string& path) {
  const std::string rest = " path=" + path + "\n";
  size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void PutEntry(std::string* tar, const Entry& entry) {
  // Names that a plain header cannot say for sure stand in an extended one before it.
  if (entry.path.size() > kNameBytes || !IsAscii(entry.path)) {
    const std::string record = PaxRecord(entry.path);
    *tar += Header("pax", 'x', 0644, record.size());
    PutContent(tar, record);
  }
  *tar += Header(entry.path.substr(0, kNameBytes), '0', entry.is_executable ? 0755 : 0644,
                 entry.content.size());
  PutContent(tar, entry.content);
}

// Sorted, each path good, and none given twice or both file and folder.
base::Status CheckPaths(std::vector<Entry>* entries) {
  Limits any_number;
  std::set<std::string> files;
  std::set<std::string> folders;
  for (Entry& entry : *entries) {
    CAUDAL_ASSIGN(std::string path, internal::CleanPath(entry.path, any_number));
    if (path.empty()) return InvalidArgument("entry " + Quoted(entry.path) + " names no file");
    entry.path = std::move(path);
    if (!files.insert(entry.path).second) {
      return InvalidArgument("entry " + Quoted(entry.path) + " is given twice");
    }
    for (size_t at = entry.path.find('/'); at != std::string::npos;
         at = entry.path.find('/', at + 1)) {
      folders.insert(entry.path.substr(0, at));
    }
  }
  for (const std::string& folder : folders) {
    if (files.contains(folder)) {
      return InvalidArgument("entry " + Quoted(folder) + " is both a file and a folder");
    }
  }
  std::sort(entries->begin(), entries->end(),
            [](const Entry& a, const Entry& b) { return a.path < b.path; });
  return {};
}

}  // namespace

base::Result<std::string> CanonicalTar(std::vector<Entry> entries) {
  CAUDAL_TRY(CheckPaths(&entries));
  std::string tar;
  for (const Entry& entry : entries) PutEntry(&tar, entry);
  tar.append(2 * kBlock, '\0');
  return tar;
}

}  // namespace caudal::archive
