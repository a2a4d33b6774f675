// How much of a token's attention each span of the context got: the shares of its softmax mass, averaged over heads and
// layers. The walk leaves, for each head, what it summed over each piece of the keys (SoftmaxState of walk.h, every one
// relative to the maximum at that moment); here these are brought to one maximum.
#pragma once

#include <vector>

#include "attention/kind.h"
#include "kernels/table.h"
#include "kv/spans.h"

namespace fieldprint {

class Influence {
 public:
  struct Piece {
    int begin, end;  // keys of one tile and one span
    int span;
  };

  // Of the token at position `keys` - 1. Pages play no part in it, so their size does not change its bits.
  void begin(int keys, const Spans& spans);

  int pieces() const { return static_cast<int>(pieces_.size()); }
  const Piece& piece(int i) const { return pieces_[static_cast<size_t>(i)]; }
  int first_piece(int tile) const { return first_[static_cast<size_t>(tile)]; }
  SoftmaxState* mass(int heads);        // [heads, pieces()], empty: for the next walk to fill
  void add(const AttentionSpec& spec);  // one layer more: what the walk left in mass()

  // The means so far: [spans], then that of the anchor rows in the file.
  void finish(std::vector<float>* shares) const;

 private:
  std::vector<Piece> pieces_;  // by position
  std::vector<int> first_;     // of each tile
  std::vector<SoftmaxState> mass_;
  std::vector<double> sums_;  // [spans + 1]
  int heads_ = 0;
  double weight_ = 0;
};

}  // namespace fieldprint
