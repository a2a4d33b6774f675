// Sets of characters: Unicode scalar values, so that surrogates are never in one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace fieldprint {

inline constexpr uint32_t kLastChar = 0x10FFFF;

class CharSet {
 public:
  using Range = std::pair<uint32_t, uint32_t>;  // first, last

  CharSet() = default;
  CharSet(std::initializer_list<Range> ranges) {
    for (const auto& [first, last] : ranges) add(first, last);
  }
  static CharSet any() { return {{0, kLastChar}}; }

  void add(uint32_t first, uint32_t last);  // first <= last <= kLastChar
  void add(uint32_t c) { add(c, c); }
  void add(const CharSet& other);
  CharSet negated() const;
  CharSet minus(const CharSet& other) const { return both(other.negated()); }
  CharSet both(const CharSet& other) const;  // what is in this one and in `other`
  bool contains(uint32_t c) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }  // ascending, with gaps between them
  bool operator==(const CharSet&) const = default;
  bool operator<(const CharSet& other) const { return ranges_ < other.ranges_; }

 private:
  std::vector<Range> ranges_;
};

}  // namespace fieldprint
