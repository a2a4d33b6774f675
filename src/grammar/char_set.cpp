#include "grammar/char_set.h"

#include <algorithm>
#include <cassert>

namespace fieldprint {
namespace {

constexpr uint32_t kSurrogatesFirst = 0xD800, kSurrogatesLast = 0xDFFF;

}  // namespace

void CharSet::add(uint32_t first, uint32_t last) {
  assert(first <= last && last <= kLastChar);
  if (first < kSurrogatesFirst && last >= kSurrogatesFirst) {
    add(first, kSurrogatesFirst - 1);
    if (last > kSurrogatesLast) add(kSurrogatesLast + 1, last);
    return;
  }
  if (first >= kSurrogatesFirst && first <= kSurrogatesLast) {
    if (last > kSurrogatesLast) add(kSurrogatesLast + 1, last);
    return;
  }
  // What touches the new range becomes a part of it. The surrogates' gap is nothing to join across.
  auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                                [](const Range& range, uint32_t value) { return range.second + 1 < value; });
  auto end = begin;
  while (end != ranges_.end() && end->first <= last + 1) {
    first = std::min(first, end->first);
    last = std::max(last, end->second);
    ++end;
  }
  begin = ranges_.erase(begin, end);
  ranges_.insert(begin, {first, last});
}

void CharSet::add(const CharSet& other) {
  for (const auto& [first, last] : other.ranges_) add(first, last);
}

CharSet CharSet::negated() const {
  CharSet result;
  uint32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (next < first) result.add(next, first - 1);
    next = last + 1;
  }
  if (next <= kLastChar) result.add(next, kLastChar);
  return result;
}

CharSet CharSet::both(const CharSet& other) const {
  CharSet result;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const uint32_t first = std::max(ranges_[i].first, other.ranges_[j].first);
    const uint32_t last = std::min(ranges_[i].second, other.ranges_[j].second);
    if (first <= last) result.add(first, last);
    if (ranges_[i].second < other.ranges_[j].second) ++i;
    else ++j;
  }
  return result;
}

bool CharSet::contains(uint32_t c) const {
  const auto range = std::lower_bound(ranges_.begin(), ranges_.end(), c,
                                      [](const Range& r, uint32_t value) { return r.second < value; });
  return range != ranges_.end() && range->first <= c;
}

}  // namespace fieldprint
