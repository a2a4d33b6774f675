// What the words met lately encode to. Bounded: 32,768 slots of 64 bytes (2 MB), one place a word, the newest stays.
// With 8,192 a megabyte of English took 1.4 times as long.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "text/flat_hash.h"

namespace fieldprint {

class WordCache {
 public:
  // Appends the ids of `word`: from the cache, or by encode_word(word), which appends them.
  template <typename EncodeWord>
  void encode(std::string_view word, std::vector<TokenId>& ids, EncodeWord&& encode_word) {
    if (word.size() > kWordMax) return encode_word(word);
    const uint64_t hash = hash_bytes(word);
    const auto known = find(word, hash);
    if (!known.empty()) {
      ids.insert(ids.end(), known.begin(), known.end());
      return;
    }
    const size_t before = ids.size();
    encode_word(word);
    put(word, hash, std::span(ids).subspan(before));
  }

 private:
  static constexpr size_t kSlots = 32768;
  static constexpr size_t kWordMax = 24;
  static constexpr size_t kIdsMax = 8;

  struct alignas(64) Slot {
    uint32_t tag = 0;
    uint8_t length = 0;  // no word is empty, so 0 is a free slot
    uint8_t count = 0;
    std::array<char, kWordMax> word{};
    std::array<TokenId, kIdsMax> ids{};
  };

  std::span<const TokenId> find(std::string_view word, uint64_t hash) const {
    const Slot& slot = slots_[hash % kSlots];
    if (slot.tag != static_cast<uint32_t>(hash >> 32) || slot.length != word.size() ||
        std::memcmp(slot.word.data(), word.data(), word.size()) != 0) {
      return {};
    }
    return {slot.ids.data(), slot.count};
  }

  void put(std::string_view word, uint64_t hash, std::span<const TokenId> ids) {
    if (ids.empty() || ids.size() > kIdsMax) return;
    Slot& slot = slots_[hash % kSlots];
    slot.tag = static_cast<uint32_t>(hash >> 32);
    slot.length = static_cast<uint8_t>(word.size());
    slot.count = static_cast<uint8_t>(ids.size());
    std::memcpy(slot.word.data(), word.data(), word.size());
    std::memcpy(slot.ids.data(), ids.data(), ids.size_bytes());
  }

  std::unique_ptr<Slot[]> slots_ = std::make_unique<Slot[]>(kSlots);
};

// Lends caches to the threads that encode: no locks but at the borders of a call.
class WordCachePool {
 public:
  class Loan {
   public:
    explicit Loan(const WordCachePool& pool) : pool_(pool), cache_(pool.take()) {}
    ~Loan() { pool_.give(std::move(cache_)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    WordCache& operator*() { return *cache_; }

   private:
    const WordCachePool& pool_;
    std::unique_ptr<WordCache> cache_;
  };

  WordCachePool() { free_.reserve(kKept); }

 private:
  static constexpr size_t kKept = 16;  // more threads than this at once make their own and drop them

  std::unique_ptr<WordCache> take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto cache = std::move(free_.back());
        free_.pop_back();
        return cache;
      }
    }
    return std::make_unique<WordCache>();
  }

  void give(std::unique_ptr<WordCache> cache) const {
    const std::lock_guard lock(mutex_);
    if (free_.size() < kKept) free_.push_back(std::move(cache));
  }

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<WordCache>> free_;
};

}  // namespace fieldprint
