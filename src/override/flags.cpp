#include "override/flags.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "fieldprint/error.h"
#include "override/files.h"
#include "override/journal.h"

namespace fieldprint::overrides {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free);
constexpr std::string_view kMagic = "FPOVRD01";
constexpr size_t kInstance = 128, kInstanceBytes = 32;
constexpr uint64_t kMask = (uint64_t{1} << 40) - 1;

struct CrcTable {
  uint32_t of[256];
  constexpr CrcTable() : of() {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t crc = byte << 16;
      for (int bit = 0; bit < 8; ++bit) crc = crc << 1 ^ ((crc & 0x800000) != 0 ? 0x1864CFB : 0);
      of[byte] = crc & 0xFFFFFF;
    }
  }
};
constexpr CrcTable kCrc;

uint64_t crc24(uint64_t value) {
  uint32_t crc = 0xB704CE;
  for (int shift = 32; shift >= 0; shift -= 8)
    crc = (crc << 8 ^ kCrc.of[(crc >> 16 ^ value >> shift) & 0xFF]) & 0xFFFFFF;
  return crc;
}

[[noreturn]] void io_error(const std::string& path, const std::string& what) {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", what, std::strerror(errno)), path);
}

constexpr InForce kUnknown = {kEpochUnknown, kEverything};

}  // namespace

uint64_t guarded(uint64_t value) {
  assert(value <= kMask);
  return crc24(value) << 40 | value;
}

std::optional<uint64_t> unguarded(uint64_t word) {
  const uint64_t value = word & kMask;
  if (crc24(value) != word >> 40) return {};
  return value;
}

FlagsPage::FlagsPage(const std::string& path, bool writable) {
  const Descriptor file(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ENOENT) throw Error(ErrorKind::kNotFound, "is not there", path);
  if (!file) io_error(path, "cannot be opened");
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != kBytes)
    throw Error(ErrorKind::kBadFile, fmt::format("is not a file of {} bytes", kBytes), path);
  void* page = ::mmap(nullptr, kBytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.get(), 0);
  if (page == MAP_FAILED) io_error(path, "cannot be mapped");
  page_ = static_cast<char*>(page);
}

FlagsPage::~FlagsPage() { ::munmap(page_, kBytes); }

void FlagsPage::create(const std::string& path) {
  // In place: whoever maps it goes on reading the one file.
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) io_error(path, "cannot be made");
  std::string bytes(kBytes, '\0');
  bytes.replace(0, kMagic.size(), kMagic);
  if (::pwrite(file.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(kBytes) ||
      ::ftruncate(file.get(), kBytes) != 0 || ::fsync(file.get()) != 0) {
    io_error(path, "cannot be written");
  }
}

bool FlagsPage::is_page() const { return std::string_view(page_, kMagic.size()) == kMagic; }

std::string FlagsPage::instance() const { return {page_ + kInstance, ::strnlen(page_ + kInstance, kInstanceBytes)}; }

void FlagsPage::set_instance(std::string_view instance) {
  assert(instance.size() == kInstanceBytes);
  std::memcpy(page_ + kInstance, instance.data(), instance.size());
}

void FlagsPage::set(uint64_t epoch, uint8_t flags, uint64_t counter) {
  word(72).store(guarded(counter), std::memory_order_release);
  word(64).store(guarded(epoch << 8 | flags), std::memory_order_release);
}

OverrideFlags::OverrideFlags(const std::string& directory) {
  const Files files(directory);
  try {
    // The page first: the journal is then at least as far as it was.
    page_.emplace(files.flags(), false);
    const std::optional<uint64_t> word = unguarded(page_->flags_word());
    state_ = read_state(files);
    if (!page_->is_page() || !word) throw Error(ErrorKind::kBadFile, "is damaged", files.flags());
    if (*word >> 8 > state_->epoch)
      throw Error(ErrorKind::kBadFile, "is older than what was in force already", files.journal());
  } catch (const Error& error) {
    fault_ = error.what();
  }
}

InForce OverrideFlags::now() const noexcept {
  if (!fault_.empty()) return kUnknown;
  const std::optional<uint64_t> word = unguarded(page_->flags_word());
  if (!word) return kUnknown;
  // The page may be behind the journal: after a power cut, until the override's process has started.
  if (*word >> 8 < state_->epoch) return {state_->epoch, state_->flags};
  return {*word >> 8, static_cast<uint8_t>(*word)};
}

std::string OverrideFlags::fault() const {
  if (!fault_.empty() || unguarded(page_->flags_word())) return fault_;
  return "the override's flags are damaged";
}

uint64_t OverrideFlags::counter() const {
  if (!state_) return 0;
  return std::max(state_->counter, unguarded(page_->counter_word()).value_or(0));
}

}  // namespace fieldprint::overrides
