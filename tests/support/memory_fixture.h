// A memory in a folder of its own, with the keys of the people above it: what the tests of src/memory share.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/memory_setup.h"
#include "memory/memory.h"

namespace fieldprint {

class MemoryFixture {
 public:
  explicit MemoryFixture(MemorySetup setup = {});
  ~MemoryFixture();

  memory::Memory& operator*() { return *memory_; }
  memory::Memory* operator->() { return memory_.get(); }
  void reopen(MemoryOptions options = {});
  void close() { memory_.reset(); }

  std::string directory() const { return (root_ / "memory").string(); }
  std::filesystem::path root() const { return root_; }
  // "root", "operator", "approver1", "approver2", "approver3", "outsider": no key of this memory.
  std::string key(const std::string& name) const { return (root_ / (name + ".skey")).string(); }

  // A statement, signed by these keys.
  ledger::Note sign(std::string_view action, std::vector<std::pair<std::string, std::string>> fields,
                    const std::vector<std::string>& keys) const;
  memory::Submitted submit(std::string_view action, std::vector<std::pair<std::string, std::string>> fields,
                           const std::vector<std::string>& keys) {
    return memory_->submit(sign(action, std::move(fields), keys));
  }
  // Added by a person, proposed by her and endorsed: the anchor's id.
  memory::RecordId anchor(const std::string& text);

  MemoryCaller user{"alice", "", "cli"};
  MemoryCaller agent{"alice", "s1", "mcp:test"};

 private:
  std::filesystem::path root_;
  std::unique_ptr<memory::Memory> memory_;
};

}  // namespace fieldprint
