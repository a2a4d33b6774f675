// Which part of a context belongs to whom: the labels of a sequence's positions, span by span. Neighbours of equal
// labels are one span. The labels are those of the pages too, since a page never holds two spans (sequence.h).
#pragma once

#include <limits>
#include <vector>

#include "fieldprint/labels.h"

namespace fieldprint {

class Spans {
 public:
  static constexpr int kOpen = std::numeric_limits<int>::max();
  struct Span {
    int begin, end;  // the last one is open: its end is kOpen
    SpanLabel label;
  };

  // From position `begin` on the context belongs to `label`; what was said of positions from there on is forgotten.
  void set(int begin, const SpanLabel& label);
  void truncate(int position);

  int index(int position) const;
  const Span& at(int position) const { return spans_[static_cast<size_t>(index(position))]; }
  const std::vector<Span>& all() const { return spans_; }

 private:
  std::vector<Span> spans_ = {{0, kOpen, {}}};  // at least one
};

}  // namespace fieldprint
