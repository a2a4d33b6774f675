// The K/V of one sequence: a page table over a pool. A page holds positions of one frame, [i * page_size, (i + 1) *
// page_size), and of one span of the context (spans.h): where a span ends inside a frame, the next one has a page of
// its own for the rest of it. Position p always lies in slot p % page_size, so that whole tiles lie where tiles are
// cut.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/layout.h"
#include "kv/page_pool.h"

namespace fieldprint {

// One page of a sequence and the positions [begin, end) that it holds.
struct KvEntry {
  KvPage* page;  // nullptr: given back by release()
  int begin, end;
};

class KvSequence {
 public:
  KvSequence(const KvLayout& layout, PagePool& pool) : layout_(&layout), pool_(&pool) {}
  KvSequence(const KvSequence& other);  // a fork: shares the pages until one of the two writes to them
  KvSequence& operator=(const KvSequence&) = delete;
  ~KvSequence() { truncate(0); }

  // Pages for positions [0, end), of which [begin, end) will be written: pages of these that others hold too are
  // copied. What is new belongs to the span that begins at `span_begin`.
  void reserve(int begin, int end, int span_begin = 0);
  void truncate(int tokens);  // gives back every page above

  // Gives back pages that end at or before `position` and that nobody has pinned. They keep their place in the table;
  // what was in them is not to be asked for any more.
  void release(int position);
  bool holds(int begin, int end) const;  // whether the pages of all these positions are there
  void skip(int tokens);                 // an empty sequence: the first `tokens` positions have no pages

  // Stores one position of one layer: k and v [kv_heads, head_dim], rounded to the layout's type. The position is
  // reserved.
  void write(int layer, int position, const float* k, const float* v);

  // One position of all layers as bytes, the same for every page size: layer by layer the heads' keys, then their
  // values, each its numbers, then its scales, then its square. bytes.size() is layout().bytes_per_token().
  void copy_out(int position, std::span<std::byte> bytes) const;
  void copy_in(int position, std::span<const std::byte> bytes);  // the position is reserved

  // The same bytes cut otherwise, for digests: of each page that is held, of each layer with K/V the positions that are
  // there, as they lie.
  int pieces() const;
  void read_piece(int piece, std::vector<std::byte>& bytes) const;

  const KvLayout& layout() const { return *layout_; }
  std::span<const KvEntry> entries() const { return entries_; }  // by position, without a hole
  // The entry of a reserved position, as an index.
  int find(int position) const {
    int i = first_[static_cast<size_t>(position / layout_->page_size())];
    while (entries_[static_cast<size_t>(i)].end <= position) ++i;
    return i;
  }
  void pin();    // every page it has now: kept, and never written to, until unpin()
  void unpin();  // before any of them is given back
  int64_t bytes() const { return pages_held_ * layout_->page_bytes(); }

 private:
  void give_back(KvEntry& entry);
  bool takes(const KvEntry& last, int span_begin) const;
  std::byte* data(int position) const { return entries_[static_cast<size_t>(find(position))].page->data(); }
  template <class Visit>
  void visit(int position, Visit&& visit) const;
  void read_layer(const KvEntry& entry, int layer, std::vector<std::byte>& bytes) const;

  const KvLayout* layout_;
  PagePool* pool_;
  std::vector<KvEntry> entries_;
  std::vector<int> first_;  // of each frame, its first entry
  size_t released_ = 0;     // the entries before it are released, or pinned
  int64_t pages_held_ = 0;
};

}  // namespace fieldprint
