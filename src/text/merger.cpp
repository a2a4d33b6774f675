#include "text/merger.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <functional>
#include <queue>

namespace fieldprint {
namespace {

// Up to here looking at every pair each time is faster than a heap (and takes no memory): most words are this short.
constexpr size_t kScanMax = 40;

void merge_by_scan(const MergeTable& merges, std::vector<uint32_t>& symbols) {
  std::array<uint64_t, kScanMax> pairs;  // pairs[i]: what symbols i and i + 1 merge to
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = merges.find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i] >> 32 < pairs[best] >> 32) best = i;
    }
    if (pairs[best] == MergeTable::kNone) break;
    symbols[best] = static_cast<uint32_t>(pairs[best]);
    --count;
    for (size_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1], pairs[i - 1] = pairs[i];
    if (best > 0) pairs[best - 1] = merges.find(symbols[best - 1], symbols[best]);
    if (best + 1 < count) pairs[best] = merges.find(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

void merge_by_heap(const MergeTable& merges, std::vector<uint32_t>& symbols) {
  constexpr uint32_t kEnd = UINT32_MAX;
  struct Node {
    uint32_t previous;
    uint32_t next;
    uint64_t pair;  // what this symbol and the next merge to; kNone where the symbol is gone
  };
  const auto count = static_cast<uint32_t>(symbols.size());
  std::vector<Node> nodes(count);
  std::vector<uint64_t> seed;  // rank << 32 | position: the heap's order is the order of merging
  for (uint32_t i = 0; i < count; ++i) {
    nodes[i] = {i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1, MergeTable::kNone};
    if (i + 1 < count) nodes[i].pair = merges.find(symbols[i], symbols[i + 1]);
    if (nodes[i].pair != MergeTable::kNone) seed.push_back((nodes[i].pair >> 32) << 32 | i);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap({}, std::move(seed));

  const auto renew = [&](uint32_t i) {
    Node& node = nodes[i];
    node.pair = node.next == kEnd ? MergeTable::kNone : merges.find(symbols[i], symbols[node.next]);
    if (node.pair != MergeTable::kNone) heap.push((node.pair >> 32) << 32 | i);
  };
  while (!heap.empty()) {
    const uint64_t top = heap.top();
    heap.pop();
    const auto i = static_cast<uint32_t>(top);
    Node& node = nodes[i];
    if (node.pair == MergeTable::kNone || node.pair >> 32 != top >> 32) continue;  // merged away since
    symbols[i] = static_cast<uint32_t>(node.pair);
    const uint32_t gone = node.next;
    nodes[gone].pair = MergeTable::kNone;
    node.next = nodes[gone].next;
    if (node.next != kEnd) nodes[node.next].previous = i;
    renew(i);
    if (node.previous != kEnd) renew(node.previous);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i != kEnd; i = nodes[i].next) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

}  // namespace

void merge_symbols(const MergeTable& merges, std::vector<uint32_t>& symbols) {
  assert(symbols.size() < UINT32_MAX);
  if (symbols.size() < 2) return;
  if (symbols.size() <= kScanMax) return merge_by_scan(merges, symbols);
  merge_by_heap(merges, symbols);
}

}  // namespace fieldprint
