// The search for blocks of codebook rows: 256 values in groups of units of 8 values, each the scale t of its group
// times a row, or two, of a book.
//
// For a fixed row the error of a unit is a quadratic in t: sum(w x^2) - 2 t b + t^2 a, with a = sum(w g^2) and
// b = sum(w x g). Divided by t, rows are lines of slope a, so that over all t > 0 only the few on their lower envelope
// can be the best. The envelope of every unit is traced once, exactly, over the whole book; after that the scale of a
// group and the common scale of the block are searched among a handful of candidates.
#pragma once

#include <cstdint>

#include "quant/codebook.h"
#include "quant/lanes.h"
#include "quant/prepared.h"

namespace fieldprint {

// One way to write 8 values.
struct RowChoice {
  float a = 0.0f, b = 0.0f;
  uint16_t rows[2] = {};  // of books of 4 two, else one
  uint8_t signs = 0;      // a set bit is a minus
  bool minus_delta = false;

  float error(float t) const { return t * (t * a - 2.0f * b); }  // less the constant sum(w x^2)
};

// The choices that are the best for some t in a range, by falling a: from the best at the smallest t on.
struct Envelope {
  static constexpr int kMost = 40;
  int count = 0;
  RowChoice choices[kMost];

  const RowChoice& best(float t) const {
    int at = 0;
    float least = choices[0].error(t);
    for (int k = 1; k < count; ++k) {
      const float error = choices[k].error(t);
      if (error < least) least = error, at = k;
    }
    return choices[at];
  }
};

struct GridShape {
  int groups;    // 8 or 16
  int variants;  // ways in which a whole group can be written, each with envelopes of its own
  int steps;     // group scales 0 .. steps - 1 stand for scale * factor * (2 step + 1)
  float factor;
  float level;      // the largest of the book
  float range_low;  // the scales of interest, in largest values of the group / level
  float range_high;
};

struct GridBlock {
  uint16_t scale = 0;  // half
  int steps[16] = {};
  int variants[16] = {};
  RowChoice choices[32];
};

// Envelopes [group][variant][unit], 32 units a variant.
struct GridEnvelopes {
  Envelope of[64];
};

// The common scale, group scales and rows; where the block is zero, scale 0.
GridBlock solve_grid(const GridShape& shape, const Prepared<256>& block, const GridEnvelopes& envelopes);

// The scales of interest of a group.
struct ScaleRange {
  float low, high;
};
ScaleRange scale_range(const GridShape& shape, const Prepared<256>& block, int group);

// The rows of a book as lines t * a - b2 (half an error less its constant, over t / 2).
template <int kRows>
struct RowLines {
  alignas(16) float a[kRows], b2[kRows];
  uint16_t row[kRows];
  int count = 0;  // a multiple of 8

  // After a and b2 are set for all rows: keeps those that can be the lowest somewhere in low .. high.
  void narrow(float low, float high);
  // The place of the first of the lowest lines at t.
  int lowest(float t) const;
};

// Adds the envelope to the right of `left`, the best at t = low, up to `right`, the best at t = high.
// `best(t)` gives the best choice.
template <typename Best>
void trace_between(const Best& best, const RowChoice& left, float low, const RowChoice& right, float high,
                   Envelope* envelope) {
  if (envelope->count == Envelope::kMost) return;
  if (left.a == right.a && left.b == right.b) return;
  const float t = left.a != right.a ? 2.0f * (left.b - right.b) / (left.a - right.a) : low;  // where they are equal
  if (t > low * 1.001f && t < high * 0.999f) {
    const RowChoice middle = best(t);
    if (middle.error(t) < left.error(t) - 1e-6f * t * t * left.a) {
      trace_between(best, left, low, middle, t, envelope);
      trace_between(best, middle, t, right, high, envelope);
      return;
    }
  }
  envelope->choices[envelope->count++] = right;
}

// Units: set(x, w, range) takes 8 values and weights, best(t, variant) gives their best choice for t in the range.
template <typename Units>
GridBlock search_grid(const GridShape& shape, const Prepared<256>& block, Units* units) {
  GridEnvelopes envelopes;
  if (block.zero) return solve_grid(shape, block, envelopes);
  const int per_group = 32 / shape.groups;
  for (int unit = 0; unit < 32; ++unit) {
    const int group = unit / per_group;
    const ScaleRange range = scale_range(shape, block, group);
    units->set(block.x + unit * 8, block.w + unit * 8, range);
    for (int v = 0; v < shape.variants; ++v) {
      Envelope& envelope = envelopes.of[(group * shape.variants + v) * per_group + unit % per_group];
      const auto best = [&](float t) { return units->best(t, v); };
      envelope.choices[envelope.count++] = best(range.low);
      trace_between(best, envelope.choices[0], range.low, best(range.high), range.high, &envelope);
    }
  }
  return solve_grid(shape, block, envelopes);
}

// The book with value i of all rows side by side.
template <size_t kWidth, size_t kRows>
struct SideBySide {
  alignas(16) float level[kWidth][kRows];

  explicit SideBySide(const std::array<CodebookRow<kWidth>, kRows>& book) {
    for (size_t row = 0; row < kRows; ++row) {
      for (size_t i = 0; i < kWidth; ++i) level[i][row] = static_cast<float>(book[row][i]);
    }
  }
};

// Units of rows of magnitudes with signs of their own. kEvenSigns: the number of minus signs is even, so where x has an
// odd number one value takes the wrong sign: of a row g, the one with the least w |x| g.
template <size_t kWidth, size_t kRows, bool kEvenSigns>
class SignedUnits {
 public:
  explicit SignedUnits(const SideBySide<kWidth, kRows>& book) : book_(book) {}

  void set(const float* x, const float* w, ScaleRange range) {
    signs_ = 0;
    for (size_t i = 0; i < 8; ++i) {
      signs_ |= (x[i] < 0.0f ? 1u : 0u) << i;
      w_[i] = w[i];
      wx_[i] = w[i] * (x[i] < 0.0f ? -x[i] : x[i]);
    }
    odd_ = kEvenSigns && (std::popcount(signs_) & 1) != 0;
    for (size_t half = 0; half < kHalves; ++half) {
      fill(half);
      // A single row of an odd number of signs always has the wrong one.
      if (!odd_ || kHalves == 2) plain_[half].narrow(range.low, range.high);
      if (odd_) flipped_[half].narrow(range.low, range.high);
    }
  }

  RowChoice best(float t, int /*variant*/) const {
    RowChoice choice;
    choice.signs = static_cast<uint8_t>(signs_);
    if constexpr (kHalves == 1) {
      pick(0, odd_, t, &choice);
    } else {
      if (odd_) {
        RowChoice first = choice, second = choice;
        pick(0, true, t, &first), pick(1, false, t, &first);
        pick(0, false, t, &second), pick(1, true, t, &second);
        return first.error(t) <= second.error(t) ? first : second;
      }
      for (size_t half = 0; half < 2; ++half) pick(half, false, t, &choice);
    }
    return choice;
  }

 private:
  static constexpr size_t kHalves = 8 / kWidth;
  using Lines = RowLines<static_cast<int>(kRows)>;

  void fill(size_t half) {
    const float* w = w_ + half * kWidth;
    const float* wx = wx_ + half * kWidth;
    for (size_t row = 0; row < kRows; row += 4) {
      Lanes a{}, b{}, cheapest = splat(0x1p100f);
      for (size_t i = 0; i < kWidth; ++i) {
        const Lanes level = load_lanes(book_.level[i] + row);
        const Lanes part = splat(wx[i]) * level;
        a += splat(w[i]) * (level * level);
        b += part;
        if (kEvenSigns) cheapest = smaller(cheapest, part);
      }
      const Lanes plain = b + b;
      store_lanes(plain_[half].a + row, a);
      store_lanes(plain_[half].b2 + row, plain);
      if (!odd_) continue;
      store_lanes(flipped_[half].a + row, a);
      store_lanes(flipped_[half].b2 + row, plain - splat(4.0f) * cheapest);
    }
  }

  void pick(size_t half, bool flip, float t, RowChoice* choice) const {
    const Lines& lines = (flip ? flipped_ : plain_)[half];
    const int at = lines.lowest(t);
    const uint16_t row = lines.row[at];
    choice->rows[half] = row;
    choice->a += lines.a[at];
    choice->b += 0.5f * lines.b2[at];
    if (!flip) return;
    size_t cheapest = 0;
    float least = 0.0f;
    for (size_t i = 0; i < kWidth; ++i) {
      const float part = wx_[half * kWidth + i] * book_.level[i][row];
      if (i == 0 || part < least) least = part, cheapest = i;
    }
    choice->signs = static_cast<uint8_t>(choice->signs ^ 1u << (half * kWidth + cheapest));
  }

  const SideBySide<kWidth, kRows>& book_;
  float w_[8], wx_[8];
  unsigned signs_ = 0;
  bool odd_ = false;
  Lines plain_[kHalves], flipped_[kHalves];
};

// Units of rows of -1, 0, 1, all moved by 1/8 (variant 0) or by -1/8 (variant 1); where `free`, each unit by either.
class DeltaUnits {
 public:
  explicit DeltaUnits(bool free) : free_(free) {}

  void set(const float* x, const float* w, ScaleRange range);
  RowChoice best(float t, int variant) const;

 private:
  RowChoice choice(bool minus, float t) const;

  bool free_;
  RowLines<2048> lines_[2];
};

}  // namespace fieldprint
