// The override's journal: a file that is written in full before it is needed, so that a full disk cannot be in the way
// of an entry. It is a row of slots of 4,096 bytes, an entry each, free slots being zero:
//
//   0   32 bytes  SHA-256 of the digest of the slot before it (zeros for the first) and of the 4,064 bytes that follow
//   32   8        number of the slot, from 0
//   40   8        time, seconds since 1970
//   48   1        kind of the entry
//   52   4        length of the text
//   64            text, then zeros
//
// Integers are little-endian. An entry is there once append() returns, and whole or not at all: a slot that is wrong
// with nothing but zeros after it is one that was being written when the power went; a wrong slot anywhere else is
// damage.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "override/state.h"

namespace fieldprint::overrides {

inline constexpr size_t kSlotBytes = 4096;
inline constexpr size_t kSlotsPerGrowth = 256;  // written at once
inline constexpr size_t kSlotsFree = 64;        // with fewer it grows, if the disk lets it

struct JournalText {
  std::vector<Entry> entries;
  ledger::Digest last = {};  // digest of the last slot
  bool torn = false;         // a slot that was being written follows
};

// Reads all entries. Any thread, also while another process appends: what it has appended before is there. Error
// kNotFound, kBadFile.
JournalText read_journal(const std::string& path);

// The one writer.
class Journal {
 public:
  // A new file with its first entry, flushed with its directory. Error kIo.
  static void create(const std::string& path, const Entry& begin);

  // Opens and locks it for this process. Errors as read_journal(), and kIo where another process has it.
  explicit Journal(const std::string& path);

  const std::vector<Entry>& entries() const { return entries_; }
  // Durable when it returns. Error kIo: it is not known whether the entry is there, and nothing can be appended any
  // more; kLimit: no slot is free and the disk is full.
  void append(const Entry& entry);

 private:
  void grow();

  std::string path_;
  Descriptor file_;
  std::vector<Entry> entries_;
  ledger::Digest last_ = {};
  size_t slots_ = 0;  // in the file
  bool broken_ = false;
};

}  // namespace fieldprint::overrides
