#include "override/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "fieldprint/error.h"

namespace fieldprint::overrides {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr size_t kDigest = 32, kNumber = 32, kTime = 40, kKind = 48, kLength = 52, kText = 64;
static_assert(kText + kNoteBytesMax == kSlotBytes);

constexpr int kTries = 5;

using Slot = std::array<std::byte, kSlotBytes>;

[[noreturn]] void io_error(const std::string& path, const std::string& what) {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(errno)), path);
}

template <class Number>
void put(Slot& slot, size_t at, Number number) {
  std::memcpy(slot.data() + at, &number, sizeof number);
}

template <class Number>
Number get(const Slot& slot, size_t at) {
  Number number;
  std::memcpy(&number, slot.data() + at, sizeof number);
  return number;
}

ledger::Digest digest_of(const Slot& slot, const ledger::Digest& before) {
  return ledger::sha256({before, ledger::ByteView(slot).subspan(kDigest)});
}

Slot slot_of(const Entry& entry, uint64_t number, const ledger::Digest& before) {
  assert(entry.text.size() <= kNoteBytesMax);
  Slot slot = {};
  put(slot, kNumber, number);
  put(slot, kTime, entry.time);
  put(slot, kKind, entry.kind);
  put(slot, kLength, static_cast<uint32_t>(entry.text.size()));
  std::memcpy(slot.data() + kText, entry.text.data(), entry.text.size());
  std::ranges::copy(digest_of(slot, before), slot.begin());
  return slot;
}

bool is_free(const Slot& slot) {
  static constexpr Slot kZeros = {};
  return std::memcmp(slot.data(), kZeros.data(), kSlotBytes) == 0;
}

// True for a slot that is what it should be at this place.
bool is_right(const Slot& slot, uint64_t number, const ledger::Digest& before) {
  return std::ranges::equal(digest_of(slot, before), std::span(slot).first(kDigest)) &&
         get<uint64_t>(slot, kNumber) == number && get<uint32_t>(slot, kLength) <= kNoteBytesMax;
}

// False at the end of the file; what is less than a slot is none.
bool read_slot(int file, size_t number, Slot& slot, const std::string& path) {
  for (size_t have = 0; have < kSlotBytes;) {
    const ssize_t read =
        ::pread(file, slot.data() + have, kSlotBytes - have, static_cast<off_t>(number * kSlotBytes + have));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) io_error(path, "cannot be read");
    if (read == 0) return false;
    have += static_cast<size_t>(read);
  }
  return true;
}

bool write_at(int file, ledger::ByteView bytes, size_t at) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
    at += static_cast<size_t>(written);
  }
  return true;
}

Descriptor open_journal(const std::string& path, int flags) {
  Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file) return file;
  const ErrorKind kind = errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo;
  throw Error(kind, fmt::format("cannot be opened: {}", std::strerror(errno)), path);
}

JournalText read_all(int file, const std::string& path) {
  JournalText text;
  Slot slot;
  size_t number = 0;
  for (; read_slot(file, number, slot, path); ++number) {
    if (!is_right(slot, number, text.last)) break;
    const char* chars = reinterpret_cast<const char*>(slot.data()) + kText;
    text.entries.push_back(
        {get<EntryKind>(slot, kKind), get<int64_t>(slot, kTime), std::string(chars, get<uint32_t>(slot, kLength))});
    std::copy_n(slot.begin(), kDigest, text.last.begin());
  }
  if (text.entries.empty()) throw Error(ErrorKind::kBadFile, "is no journal of an override", path);
  for (size_t after = number; read_slot(file, after, slot, path); ++after) {
    if (is_free(slot)) continue;
    if (after != number) throw Error(ErrorKind::kBadFile, fmt::format("entry {} is damaged", number), path);
    text.torn = true;
  }
  return text;
}

}  // namespace

JournalText read_journal(const std::string& path) {
  const Descriptor file = open_journal(path, O_RDONLY);
  for (int tries = 1;; ++tries) {
    try {
      return read_all(file.get(), path);
    } catch (const Error& error) {
      // A slot that was read half written and the one after it whole: the writer was faster. Damage stays.
      if (error.kind() != ErrorKind::kBadFile || tries == kTries) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

void Journal::create(const std::string& path, const Entry& begin) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) io_error(path, "cannot be made");
  const ledger::Bytes zeros((kSlotsPerGrowth - 1) * kSlotBytes);
  if (!write_at(file.get(), slot_of(begin, 0, {}), 0) || !write_at(file.get(), zeros, kSlotBytes) ||
      ::fsync(file.get()) != 0) {
    io_error(path, "cannot be written");
  }
  const std::string directory = std::filesystem::path(path).parent_path();
  const Descriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) io_error(directory, "cannot be flushed");
}

Journal::Journal(const std::string& path) : path_(path), file_(open_journal(path, O_RDWR)) {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw Error(ErrorKind::kIo, "another process has it open", path);
    io_error(path, "cannot be locked");
  }
  JournalText text = read_all(file_.get(), path);
  entries_ = std::move(text.entries);
  last_ = text.last;
  struct stat status = {};
  if (::fstat(file_.get(), &status) != 0) io_error(path, "cannot be read");
  slots_ = static_cast<size_t>(status.st_size) / kSlotBytes;
  grow();
}

// Beyond what is in use, so that nothing is lost where it fails: then it stays as long as it is.
void Journal::grow() {
  if (slots_ - entries_.size() >= kSlotsFree) return;
  const ledger::Bytes zeros(kSlotsPerGrowth * kSlotBytes);
  if (write_at(file_.get(), zeros, slots_ * kSlotBytes) && ::fsync(file_.get()) == 0) slots_ += kSlotsPerGrowth;
}

void Journal::append(const Entry& entry) {
  if (broken_) throw Error(ErrorKind::kIo, "cannot be written any more", path_);
  if (entries_.size() == slots_) grow();
  if (entries_.size() == slots_) throw Error(ErrorKind::kLimit, "is full, and so is the disk", path_);
  const Slot slot = slot_of(entry, entries_.size(), last_);
  // What failed once is not tried again: the kernel may have dropped the page and would then say that all is well.
  if (!write_at(file_.get(), slot, entries_.size() * kSlotBytes) || ::fdatasync(file_.get()) != 0) {
    broken_ = true;
    io_error(path_, "cannot be written");
  }
  std::copy_n(slot.begin(), kDigest, last_.begin());
  entries_.push_back(entry);
  grow();
}

}  // namespace fieldprint::overrides
