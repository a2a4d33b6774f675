#include "attention/influence.h"

#include <algorithm>

#include "base/math.h"

namespace fieldprint {

void Influence::begin(int keys, const Spans& spans) {
  pieces_.clear();
  first_.clear();
  for (int p = 0, span = 0; p < keys;) {
    const int tile_end = (p / kTile + 1) * kTile, span_end = spans.all()[static_cast<size_t>(span)].end;
    if (p % kTile == 0) first_.push_back(pieces());
    pieces_.push_back({p, std::min({keys, tile_end, span_end}), span});
    p = pieces_.back().end;
    if (p == span_end) ++span;
  }
  sums_.assign(static_cast<size_t>(pieces_.back().span) + 2, 0.0);
  weight_ = 0;
}

SoftmaxState* Influence::mass(int heads) {
  heads_ = heads;
  mass_.assign(static_cast<size_t>(heads) * pieces_.size(), {});
  return mass_.data();
}

void Influence::add(const AttentionSpec& spec) {
  const double of_file = static_cast<double>(spec.share), of_context = 1 - of_file;
  weight_ += heads_;
  sums_.back() += heads_ * of_file;
  if (of_context == 0) return;
  for (int h = 0; h < heads_; ++h) {
    const SoftmaxState* mass = mass_.data() + int64_t{h} * pieces();
    float m = mass->m;
    for (int i = 0; i < pieces(); ++i) m = std::max(m, mass[i].m);
    // Neighbours mostly share their maximum: few exponentials.
    double total = 0;
    float known = m, factor = 1;
    const auto scaled = [&](const SoftmaxState& state) {
      if (state.empty()) return 0.0;
      if (state.m != known) factor = exp_f32((known = state.m) - m);
      return static_cast<double>(state.l * factor);
    };
    for (int i = 0; i < pieces(); ++i) total += scaled(mass[i]);
    for (int i = 0; i < pieces(); ++i)
      sums_[static_cast<size_t>(piece(i).span)] += of_context * scaled(mass[i]) / total;
  }
}

void Influence::finish(std::vector<float>* shares) const {
  shares->resize(sums_.size());
  for (size_t i = 0; i < sums_.size(); ++i) (*shares)[i] = static_cast<float>(weight_ > 0 ? sums_[i] / weight_ : 0);
}

}  // namespace fieldprint
