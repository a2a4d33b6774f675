// Open-addressing tables for loading once and looking up often: pairs of ids, and byte strings with dense ids.
#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

inline constexpr uint32_t kNoSymbol = UINT32_MAX;

inline uint64_t mix_bits(uint64_t x) {
  x *= 0x9E3779B97F4A7C15u;
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93u;
  return x ^ x >> 29;
}

inline uint64_t hash_bytes(std::string_view text) {
  const char* p = text.data();
  size_t n = text.size();
  uint64_t hash = n, word = 0;
  for (; n > 8; p += 8, n -= 8) {
    std::memcpy(&word, p, 8);
    hash = mix_bits(hash ^ word);
  }
  word = 0;
  if (n >= 4) {  // two loads that may overlap
    uint32_t low = 0, high = 0;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + n - 4, 4);
    word = static_cast<uint64_t>(high) << 32 | low;
  } else if (n > 0) {
    const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(p[i])); };
    word = byte(0) | byte(n / 2) << 8 | byte(n - 1) << 16;
  }
  return mix_bits(hash ^ word);
}

// (a, b) -> value; not for a == b == kNoSymbol.
class PairTable {
 public:
  // Keeps the first value of a pair; true where it was new.
  bool insert(uint32_t a, uint32_t b, uint64_t value) {
    if (4 * (used_ + 1) > 3 * slots_.size()) grow();
    Slot& slot = slots_[place(key_of(a, b))];
    if (slot.key != kEmpty) return false;
    slot = {key_of(a, b), value};
    ++used_;
    return true;
  }

  const uint64_t* find(uint32_t a, uint32_t b) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[place(key_of(a, b))];
    return slot.key == kEmpty ? nullptr : &slot.value;
  }

  size_t size() const { return used_; }

 private:
  struct Slot {
    uint64_t key;
    uint64_t value;
  };
  static constexpr uint64_t kEmpty = UINT64_MAX;

  static uint64_t key_of(uint32_t a, uint32_t b) { return static_cast<uint64_t>(a) << 32 | b; }

  size_t place(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t i = mix_bits(key) & mask;
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & mask;
    return i;
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : 2 * slots_.size(), Slot{kEmpty, 0});
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != kEmpty) slots_[place(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

// Byte strings with dense ids. Two ids may have the same text; then the first is found.
class SymbolTable {
 public:
  // The next id. One that is not `findable` has a text and nothing else.
  uint32_t add(std::string_view text, bool findable = true) {
    const auto id = static_cast<uint32_t>(size());
    assert(id < kNoSymbol);
    bytes_.append(text);
    ends_.push_back(bytes_.size());
    if (findable) {
      if (4 * (used_ + 1) > 3 * slots_.size()) grow();
      const uint64_t hash = hash_bytes(text);
      Slot& slot = slots_[place(text, hash)];
      if (slot.id == kNoSymbol) slot = {static_cast<uint32_t>(hash), id}, ++used_;
    }
    return id;
  }

  uint32_t find(std::string_view text) const {
    return slots_.empty() ? kNoSymbol : slots_[place(text, hash_bytes(text))].id;
  }

  uint32_t find_or_add(std::string_view text) {
    const uint32_t id = find(text);
    return id != kNoSymbol ? id : add(text);
  }

  std::string_view text(uint32_t id) const {
    const uint64_t begin = id == 0 ? 0 : ends_[id - 1];
    return std::string_view(bytes_).substr(begin, ends_[id] - begin);
  }

  size_t size() const { return ends_.size(); }

 private:
  struct Slot {
    uint32_t hash;
    uint32_t id;
  };

  size_t place(std::string_view text, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t i = hash & mask;
    while (slots_[i].id != kNoSymbol &&
           (slots_[i].hash != static_cast<uint32_t>(hash) || this->text(slots_[i].id) != text)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : 2 * slots_.size(), Slot{0, kNoSymbol});
    old.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.id == kNoSymbol) continue;
      size_t i = hash_bytes(text(slot.id)) & mask;
      while (slots_[i].id != kNoSymbol) i = (i + 1) & mask;
      slots_[i] = slot;
    }
  }

  std::string bytes_;
  std::vector<uint64_t> ends_;
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

}  // namespace fieldprint
