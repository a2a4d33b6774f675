// What the override has put in force, for everything else to read before each operation: one atomic load from a page
// that both map. It goes on saying the last of it when the override's process is dead.
//
// The file DIR/flags is one page of 4,096 bytes:
//   0     8 bytes  "FPOVRD01"
//   64    8        epoch << 8 | flags, and above them a CRC-24 of these 40 bits
//   72    8        counter of the last command, and above it a CRC-24
//   128  32        the process's instance, in hex
// It is what the journal comes to and nothing more: whoever opens it compares the two.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "override/state.h"

namespace fieldprint::overrides {

// 40 bits with their CRC-24 (RFC 9580), and back; nothing where it is not right, as for zeros.
uint64_t guarded(uint64_t value);
std::optional<uint64_t> unguarded(uint64_t word);

// The mapped file. Whoever shortens it while it is mapped ends those that read it (SIGBUS).
class FlagsPage {
 public:
  static constexpr size_t kBytes = 4096;

  // Error kNotFound, kBadFile where it has another size, kIo.
  FlagsPage(const std::string& path, bool writable);
  ~FlagsPage();
  FlagsPage(const FlagsPage&) = delete;
  FlagsPage& operator=(const FlagsPage&) = delete;
  // A file that says nothing yet; where one is there it is made one again. Error kIo.
  static void create(const std::string& path);

  bool is_page() const;  // begins as it should
  uint64_t flags_word() const { return word(64).load(std::memory_order_acquire); }
  uint64_t counter_word() const { return word(72).load(std::memory_order_acquire); }
  std::string instance() const;

  // The counter first: what is in force was accepted.
  void set(uint64_t epoch, uint8_t flags, uint64_t counter);
  void set_instance(std::string_view instance);

 private:
  std::atomic<uint64_t>& word(size_t at) const { return *reinterpret_cast<std::atomic<uint64_t>*>(page_ + at); }
  char* page_ = nullptr;
};

struct InForce {
  uint64_t epoch = 0;  // another one than before: there is something to look at in the journal
  uint8_t flags = 0;
  bool halted() const { return (flags & kHalted) != 0; }
  bool no_anchors() const { return (flags & kNoAnchors) != 0; }
  bool frozen() const { return (flags & kFrozen) != 0; }
  bool clean_boot() const { return (flags & kCleanBoot) != 0; }
};
inline constexpr uint64_t kEpochUnknown = UINT64_MAX;

// The reader. Fails closed: where files are missing, damaged, or not those of a moment ago, everything is halted,
// frozen and without anchors.
class OverrideFlags {
 public:
  // Reads the journal once. Throws nothing: what is wrong is fault(), and now() is closed then, until another one is
  // opened.
  explicit OverrideFlags(const std::string& directory);

  // One load and a CRC of five bytes. Any thread.
  InForce now() const noexcept;
  std::string fault() const;  // "" where all is well
  uint64_t counter() const;   // of the last command: never below one that the ledger has, or the files are old ones
  std::string instance() const { return page_ ? page_->instance() : ""; }
  // As of when it was opened.
  const std::optional<State>& state() const { return state_; }

 private:
  std::optional<FlagsPage> page_;
  std::optional<State> state_;
  std::string fault_;
};

}  // namespace fieldprint::overrides
