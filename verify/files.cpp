#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "report.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

constexpr int kDepthMax = 16;

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

class FileReader : public Reader {
 public:
  FileReader(Descriptor file, uint64_t size) : file_(std::move(file)), size_(size) {}
  uint64_t size() const override { return size_; }
  bool read(uint64_t offset, char* out, size_t length) const override {
    while (length > 0) {
      const ssize_t got = ::pread(file_.number(), out, length, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      out += got;
      offset += static_cast<uint64_t>(got);
      length -= static_cast<size_t>(got);
    }
    return true;
  }

 private:
  Descriptor file_;
  uint64_t size_;
};

// O_NONBLOCK: opening a FIFO must not wait for a writer.
constexpr int kFileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
constexpr int kFolderFlags = O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC;

Opening why_not() {
  if (errno == ENOENT) return Opening::kMissing;
  return errno == ELOOP || errno == ENOTDIR ? Opening::kNotPlain : Opening::kFailed;
}

class Directory : public Files {
 public:
  explicit Directory(Descriptor root) : root_(std::move(root)) {}

  // Part by part, so that no part of the path is a link.
  Opened open(const std::string& path) const override {
    Descriptor folder;
    std::string_view rest = path;
    for (size_t slash; (slash = rest.find('/')) != std::string_view::npos; rest.remove_prefix(slash + 1)) {
      const int base = folder ? folder.number() : root_.number();
      Descriptor next(::openat(base, std::string(rest.substr(0, slash)).c_str(), kFolderFlags));
      if (!next) return {why_not()};
      folder = std::move(next);
    }
    Descriptor file(::openat(folder ? folder.number() : root_.number(), std::string(rest).c_str(), kFileFlags));
    if (!file) return {why_not()};
    struct stat facts = {};
    if (::fstat(file.number(), &facts) != 0) return {Opening::kFailed};
    if (!S_ISREG(facts.st_mode)) return {Opening::kNotPlain};
    return {Opening::kOpen, std::make_unique<FileReader>(std::move(file), static_cast<uint64_t>(facts.st_size))};
  }

  bool each(const std::function<void(const std::string&, bool)>& file) const override {
    return list(Descriptor(::openat(root_.number(), ".", kFolderFlags)), "", 0, file);
  }

 private:
  static bool list(Descriptor folder, const std::string& prefix, int depth,
                   const std::function<void(const std::string&, bool)>& file) {
    if (!folder || depth > kDepthMax) return false;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(folder.number()), ::closedir);
    if (!stream) return false;
    folder.release();  // the stream's now
    bool good = true;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (!entry) return good && errno == 0;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat facts = {};
      if (::fstatat(::dirfd(stream.get()), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
        good = false;
      } else if (S_ISDIR(facts.st_mode)) {
        Descriptor next(::openat(::dirfd(stream.get()), name.c_str(), kFolderFlags));
        good = list(std::move(next), prefix + name + "/", depth + 1, file) && good;
      } else {
        file(prefix + name, S_ISREG(facts.st_mode));
      }
    }
  }

  Descriptor root_;
};

class TextReader : public Reader {
 public:
  explicit TextReader(std::string_view text) : text_(text) {}
  uint64_t size() const override { return text_.size(); }
  bool read(uint64_t offset, char* out, size_t length) const override {
    if (offset > text_.size() || length > text_.size() - offset) return false;
    std::memcpy(out, text_.data() + offset, length);
    return true;
  }

 private:
  std::string_view text_;
};

class Texts : public Files {
 public:
  explicit Texts(const std::map<std::string, std::string>& files) : files_(files) {}
  Opened open(const std::string& path) const override {
    const auto found = files_.find(path);
    if (found == files_.end()) return {};
    return {Opening::kOpen, std::make_unique<TextReader>(found->second)};
  }
  bool each(const std::function<void(const std::string&, bool)>& file) const override {
    for (const auto& [path, text] : files_) file(path, true);
    return true;
  }

 private:
  const std::map<std::string, std::string>& files_;
};

}  // namespace

std::unique_ptr<Files> open_directory(const std::string& path) {
  Descriptor root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return nullptr;
  return std::make_unique<Directory>(std::move(root));
}

std::unique_ptr<Files> in_memory(const std::map<std::string, std::string>& files) {
  return std::make_unique<Texts>(files);
}

std::unique_ptr<Reader> open_file(const Files& files, const std::string& path, Report& report) {
  Opened opened = files.open(path);
  switch (opened.state) {
    case Opening::kOpen:
      break;
    case Opening::kMissing:
      report.fault("export.missing", "The file is not there.", {.file = path});
      break;
    case Opening::kNotPlain:
      report.fault("export.link", "This is a link, or not a plain file; such are not followed.", {.file = path});
      break;
    case Opening::kFailed:
      report.fault("export.read", "The file cannot be opened.", {.file = path});
      break;
  }
  return std::move(opened.reader);
}

std::optional<std::string> read_file(const Files& files, const std::string& path, size_t size_max, Report& report) {
  const std::unique_ptr<Reader> reader = open_file(files, path, report);
  if (!reader) return std::nullopt;
  if (reader->size() > size_max) {
    report.fault("export.size", fmt::format("The file has {} bytes, and may have {}.", reader->size(), size_max),
                 {.file = path});
    return std::nullopt;
  }
  std::string bytes(reader->size(), '\0');
  if (reader->read(0, bytes.data(), bytes.size())) return bytes;
  report.fault("export.read", "The file cannot be read to its end.", {.file = path});
  return std::nullopt;
}

std::optional<std::string> read_named(const std::string& path, size_t size_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::string bytes(size_max + 1, '\0');
  size_t length = 0;
  while (length < bytes.size()) {
    const ssize_t got = ::read(file.number(), bytes.data() + length, bytes.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    length += static_cast<size_t>(got);
  }
  if (length > size_max) return std::nullopt;
  bytes.resize(length);
  return bytes;
}

}  // namespace fieldprint::verify
