#include "archive/internal/walk.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <memory>

#include "archive/internal/path.h"

namespace caudal::archive::internal {
namespace {

using base::InvalidArgument;
using base::Status;

constexpr int64_t kRatioFreeBytes = 1 << 20;  // small archives may compress as well as they like
constexpr int64_t kHeaderBytes = 8 << 10;     // of one entry, with long names and attributes
constexpr size_t kChunkBytes = 64 << 10;

/// libarchive converts names to the thread's locale, and in "C" loses all but ASCII.
class Utf8Locale {
 public:
  Utf8Locale() : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = uselocale(utf8_);
  }
  ~Utf8Locale() {
    if (utf8_ == nullptr) return;
    uselocale(before_);
    freelocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

struct ReadFree {
  void operator()(::archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<::archive, ReadFree>;

Status Broken(::archive* reader, const std::string& what) {
  const char* why = archive_error_string(reader);
  return InvalidArgument(what + (why == nullptr ? "" : std::string(": ") + why));
}

/// Reads one archive; keeps count of what came out of it.
class Walker {
 public:
  Walker(std::string_view content, const Limits& limits)
      : content_(content), limits_(limits), reader_(archive_read_new()) {}

  Status Open() {
    switch (Sniff(content_)) {
      case Format::kZip:
        // Not the one that streams: it takes a zip that was cut short for a whole one.
        archive_read_support_format_zip_seekable(reader_.get());
        break;
      case Format::kTarGz:
        archive_read_support_filter_gzip(reader_.get());
        [[fallthrough]];
      case Format::kTar:
        archive_read_support_format_tar(reader_.get());
        archive_read_support_format_empty(reader_.get());
        break;
      case Format::kNone:
        return InvalidArgument("this is neither a zip nor a tar archive");
    }
    if (archive_read_open_memory(reader_.get(), content_.data(), content_.size()) == ARCHIVE_OK) {
      return {};
    }
    return Broken(reader_.get(), "the archive cannot be read");
  }

  Status Run(const std::function<Status(Entry)>& visit) {
    ::archive_entry* header = nullptr;
    for (int entries = 0;;) {
      const int got = archive_read_next_header(reader_.get(), &header);
      if (got == ARCHIVE_EOF) return {};
      if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
        return Broken(reader_.get(),
                      "the archive is broken after " + std::to_string(entries) + " entries");
      }
      CAUDAL_TRY(CheckHeaders());
      if (++entries > limits_.max_entries) {
        return InvalidArgument("the archive has more than " + std::to_string(limits_.max_entries) +
                               " entries, the most that are read");
      }
      CAUDAL_TRY(Take(header, visit));
    }
  }

 private:
  Status Take(::archive_entry* header, const std::function<Status(Entry)>& visit) {
    const char* name = archive_entry_pathname(header);
    if (name == nullptr) return InvalidArgument("an entry has a name that is not UTF-8; rename it");
    CAUDAL_TRY(CheckKind(header, name));
    Entry entry;
    CAUDAL_ASSIGN(entry.path, CleanPath(name, limits_));
    if (archive_entry_filetype(header) == AE_IFDIR) {
      // A folder with content would be inflated only to be skipped.
      if (archive_entry_size(header) == 0) return {};
      return InvalidArgument("entry " + Quoted(name) + " is a folder that has content");
    }
    if (entry.path.empty() || std::string_view(name).ends_with('/')) {
      return InvalidArgument("entry " + Quoted(name) + " is a file with the name of a folder");
    }
    entry.is_executable = (archive_entry_perm(header) & 0111) != 0;
    CAUDAL_TRY(ReadContent(header, &entry));
    return visit(std::move(entry));
  }

  static Status CheckKind(::archive_entry* header, const char* name) {
    const char* kind = nullptr;
    const char* target = nullptr;
    if ((target = archive_entry_hardlink(header)) != nullptr) {
      kind = "a hard link";
    } else {
      switch (archive_entry_filetype(header)) {
        case AE_IFREG:
        case AE_IFDIR:
          return {};
        case AE_IFLNK:
          kind = "a symbolic link";
          target = archive_entry_symlink(header);
          break;
        case AE_IFCHR:
        case AE_IFBLK:
          kind = "a device";
          break;
        case AE_IFIFO:
          kind = "a pipe";
          break;
        default:
          kind = "neither a file nor a folder";
      }
    }
    return InvalidArgument("entry " + Quoted(name) + " is " + kind +
                           (target == nullptr ? "" : " to " + Quoted(target)) +
                           "; only files and folders are accepted");
  }

  // What was inflated so far, headers and padding too, against what good archives can need.
  Status CheckHeaders() const {
    const int64_t most = limits_.total_bytes + int64_t{limits_.max_entries} * kHeaderBytes;
    if (archive_filter_bytes(reader_.get(), 0) <= most) return {};
    return InvalidArgument(
        "the headers of the archive are larger than anything that would be read");
  }

  Status ReadContent(::archive_entry* header, Entry* entry) {
    if (archive_entry_size_is_set(header) != 0) {
      // Refused before anything is inflated. The claim itself is not trusted further on.
      CAUDAL_TRY(CheckTotal(entry->path, archive_entry_size(header)));
    }
    while (true) {
      const la_ssize_t got = archive_read_data(reader_.get(), chunk_.data(), chunk_.size());
      if (got < 0) return Broken(reader_.get(), "entry " + Quoted(entry->path) + " is broken");
      if (got == 0) return {};
      CAUDAL_TRY(CheckTotal(entry->path, got));
      unpacked_ += got;
      entry->content.append(chunk_, 0, static_cast<size_t>(got));
    }
  }

  // Whether `more` bytes may come out.
  Status CheckTotal(const std::string& path, int64_t more) const {
    if (more < 0 || more > limits_.total_bytes - unpacked_) {
      return InvalidArgument("the archive unpacks to more than " +
                             std::to_string(limits_.total_bytes) +
                             " bytes, the most that are read; entry " + Quoted(path) + " is over");
    }
    const int64_t total = unpacked_ + more;
    if (total > kRatioFreeBytes &&
        total / limits_.max_ratio > static_cast<int64_t>(content_.size())) {
      return InvalidArgument(
          "the archive unpacks to more than " + std::to_string(limits_.max_ratio) +
          " times its size, the most that is read; entry " + Quoted(path) + " is over");
    }
    return {};
  }

  std::string_view content_;
  const Limits& limits_;
  Reader reader_;
  std::string chunk_ = std::string(kChunkBytes, '\0');
  int64_t unpacked_ = 0;
};

}  // namespace

Status Walk(std::string_view content, const Limits& limits,
            const std::function<Status(Entry)>& visit) {
  // A zip that begins with its end record has nothing before it; libarchive knows no such.
  if (content.starts_with("PK\x05\x06")) return {};
  const Utf8Locale locale;
  Walker walker(content, limits);
  CAUDAL_TRY(walker.Open());
  return walker.Run(visit);
}

}  // namespace caudal::archive::internal
