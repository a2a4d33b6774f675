#include "quant/codebook_search.h"

#include <algorithm>
#include <vector>

namespace fieldprint {
namespace {

struct GroupFit {
  float a = 0.0f, b = 0.0f, error = 0.0f;
  int variant = 0;
};

// The sums a and b of all units of a group, each at its best: constant between the scales where a unit changes rows.
struct Staircase {
  static constexpr int kMost = 4 * Envelope::kMost;
  int count = 0;
  float from[kMost], a[kMost], b[kMost];  // piece k holds from from[k] on, rising; from[0] is 0

  Staircase(const Envelope* units, int unit_count) {
    struct Change {
      float at, a, b;
      int unit;
    };
    Change changes[kMost];
    float a_sum = 0.0f, b_sum = 0.0f;
    int change_count = 0;
    for (int u = 0; u < unit_count; ++u) {
      const RowChoice* choices = units[u].choices;
      a_sum += choices[0].a, b_sum += choices[0].b;
      for (int k = 1; k < units[u].count; ++k) {
        const float a_off = choices[k].a - choices[k - 1].a, b_off = choices[k].b - choices[k - 1].b;
        const float at = a_off < 0.0f ? 2.0f * b_off / a_off : 0.0f;
        changes[change_count++] = {at, a_off, b_off, u};
      }
    }
    std::sort(changes, changes + change_count, [](const Change& left, const Change& right) {
      return left.at != right.at ? left.at < right.at : left.unit < right.unit;
    });
    add(0.0f, a_sum, b_sum);
    for (int k = 0; k < change_count; ++k) {
      a_sum += changes[k].a, b_sum += changes[k].b;
      add(changes[k].at, a_sum, b_sum);
    }
  }

  void add(float at, float a_sum, float b_sum) {
    from[count] = at, a[count] = a_sum, b[count] = b_sum;
    ++count;
  }
  int piece(float t) const { return static_cast<int>(std::upper_bound(from + 1, from + count, t) - from) - 1; }
};

struct Grid {
  const GridShape& shape;
  std::vector<Staircase> groups;  // [group][variant]

  GroupFit fit(int group, float t) const {
    GroupFit least;
    for (int v = 0; v < shape.variants; ++v) {
      const Staircase& stairs = groups[static_cast<size_t>(group * shape.variants + v)];
      const int piece = stairs.piece(t);
      const GroupFit here{stairs.a[piece], stairs.b[piece], t * (t * stairs.a[piece] - 2.0f * stairs.b[piece]), v};
      if (v == 0 || here.error < least.error) least = here;
    }
    return least;
  }

  // The group's own best scale: b / a of the rows that have the most b^2 / a.
  float own_scale(int group) const {
    float most = 0.0f, scale = 0.0f;
    for (int v = 0; v < shape.variants; ++v) {
      const Staircase& stairs = groups[static_cast<size_t>(group * shape.variants + v)];
      for (int k = 0; k < stairs.count; ++k) {
        const float a = stairs.a[k], b = stairs.b[k];
        if (b > 0.0f && a > 0.0f && b * b > most * a) scale = b / a, most = scale * b;
      }
    }
    return scale;
  }

  float group_scale(float scale, int step) const { return scale * shape.factor * static_cast<float>(2 * step + 1); }
};

// For one common scale the best step of every group, near to the group's own best scale.
float best_steps(const Grid& grid, float scale, const float* own, GridBlock* block, float* next_scale) {
  float error = 0.0f, fb = 0.0f, ffa = 0.0f;
  const float inverse = scale > 0.0f ? 0.5f / (scale * grid.shape.factor) : 0.0f;
  for (int g = 0; g < grid.shape.groups; ++g) {
    const float wanted = own[g] * inverse - 0.5f;
    const auto top = static_cast<float>(grid.shape.steps - 1);
    const int middle = static_cast<int>(round_even(wanted < 0.0f ? 0.0f : wanted > top ? top : wanted));
    GroupFit least;
    bool first = true;
    for (int step = middle - 1; step <= middle + 1; ++step) {
      if (step < 0 || step >= grid.shape.steps) continue;
      const GroupFit here = grid.fit(g, grid.group_scale(scale, step));
      if (!first && !(here.error < least.error)) continue;
      least = here, first = false;
      block->steps[g] = step;
      block->variants[g] = here.variant;
    }
    const float f = grid.group_scale(1.0f, block->steps[g]);
    error += least.error;
    fb += f * least.b;
    ffa += f * f * least.a;
  }
  *next_scale = ffa > 0.0f && fb > 0.0f ? fb / ffa : scale;
  return error;
}

}  // namespace

ScaleRange scale_range(const GridShape& shape, const Prepared<256>& block, int group) {
  const int size = 256 / shape.groups;
  float most = 0.0f, most_of_all = 0.0f;
  for (int i = 0; i < 256; ++i) {
    const float magnitude = block.x[i] < 0.0f ? -block.x[i] : block.x[i];
    most_of_all = magnitude > most_of_all ? magnitude : most_of_all;
    if (i / size == group && magnitude > most) most = magnitude;
  }
  // A quiet group beside a loud one can have no smaller scale than the first step.
  const float own = most / shape.level;
  const float first_step = 2.0f * most_of_all / shape.level / static_cast<float>(2 * shape.steps - 1);
  float high = own * shape.range_high;
  high = high > first_step ? high : first_step;
  const float low = own * shape.range_low, floor = first_step * 0.1f;
  return {low > floor ? low : floor, high};
}

template <int kRows>
int RowLines<kRows>::lowest(float t) const {
  const Lanes by = splat(t);
  Lanes least = splat(0x1p120f), other = least;
  for (int i = 0; i < count; i += 8) {
    least = smaller(by * load_lanes(a + i) - load_lanes(b2 + i), least);
    other = smaller(by * load_lanes(a + i + 4) - load_lanes(b2 + i + 4), other);
  }
  const float best = least_lane(smaller(least, other));
  for (int i = 0; i < count; i += 4) {
    const LaneMask equal = by * load_lanes(a + i) - load_lanes(b2 + i) == splat(best);
    if (!any(equal)) continue;
    return i + (equal[0] != 0 ? 0 : equal[1] != 0 ? 1 : equal[2] != 0 ? 2 : 3);
  }
  return 0;
}

template <int kRows>
void RowLines<kRows>::narrow(float low, float high) {
  count = kRows;
  const int left = lowest(low), right = lowest(high);
  // Left and right are the lowest at the ends. A line that is below both somewhere between is so where the two cross.
  const float left_a = a[left], left_b2 = b2[left], right_a = a[right], right_b2 = b2[right];
  int kept = 0;
  const auto keep_line = [&](int from, float line_a, float line_b2) {
    a[kept] = line_a, b2[kept] = line_b2;
    row[kept++] = static_cast<uint16_t>(from);
  };
  // Four lines are read before any is put in a place, and kept <= i: nothing unread is lost.
  const float slope = left_a - right_a;
  const float cross = slope > 0.0f ? (left_b2 - right_b2) / slope : low;
  const float peak = cross * left_a - left_b2;
  const Lanes by = splat(cross), limit = splat(peak);
  for (int i = 0; i < kRows; i += 4) {
    const Lanes line_a = load_lanes(a + i), line_b2 = load_lanes(b2 + i);
    if (!any(by * line_a - line_b2 < limit) && (left < i || left > i + 3) && (right < i || right > i + 3)) continue;
    for (int k = 0; k < 4; ++k) {
      if (i + k == left || i + k == right || cross * line_a[k] - line_b2[k] < peak)
        keep_line(i + k, line_a[k], line_b2[k]);
    }
  }
  for (; kept % 8 != 0; ++kept) a[kept] = 0.0f, b2[kept] = -0x1p120f, row[kept] = 0;
  count = kept;
}

template struct RowLines<256>;
template struct RowLines<512>;
template struct RowLines<1024>;
template struct RowLines<2048>;

GridBlock solve_grid(const GridShape& shape, const Prepared<256>& block, const GridEnvelopes& envelopes) {
  GridBlock best;
  if (block.zero) return best;
  const int per_group = 32 / shape.groups;
  Grid grid{shape, {}};
  grid.groups.reserve(static_cast<size_t>(shape.groups * shape.variants));
  for (int i = 0; i < shape.groups * shape.variants; ++i) {
    grid.groups.emplace_back(envelopes.of + i * per_group, per_group);
  }

  float own[16], largest = 0.0f;
  for (int g = 0; g < shape.groups; ++g) {
    own[g] = grid.own_scale(g);
    largest = own[g] > largest ? own[g] : largest;
  }

  const float start = largest / grid.group_scale(1.0f, shape.steps - 1);
  float best_error = 0.0f;
  for (int j = -8; j <= 14; ++j) {
    float next = start * (1.0f + static_cast<float>(j) * 0.02f);
    for (int round = 0; round < 3; ++round) {
      GridBlock trial;
      trial.scale = block.unit.half(next);
      const float error = best_steps(grid, block.unit.scale(trial.scale), own, &trial, &next);
      if (!(error < best_error)) break;
      best = trial, best_error = error;
    }
  }

  const float scale = block.unit.scale(best.scale);
  for (int g = 0; g < shape.groups; ++g) {
    const Envelope* units = envelopes.of + (g * shape.variants + best.variants[g]) * per_group;
    for (int u = 0; u < per_group; ++u) {
      best.choices[g * per_group + u] = units[u].best(grid.group_scale(scale, best.steps[g]));
    }
  }
  return best;
}

void DeltaUnits::set(const float* x, const float* w, ScaleRange range) {
  static const SideBySide<8, 2048> book(kIq1Book);
  float weight = 0.0f, weighted = 0.0f, wx[8];
  for (int i = 0; i < 8; ++i) {
    wx[i] = w[i] * x[i];
    weight += w[i];
    weighted += wx[i];
  }
  for (int row = 0; row < 2048; row += 4) {
    Lanes square{}, linear{}, along{};
    for (int i = 0; i < 8; ++i) {
      const Lanes level = load_lanes(book.level[i] + row);
      const Lanes part = splat(w[i]) * level;
      square += part * level;
      linear += part;
      along += splat(wx[i]) * level;
    }
    for (int minus = 0; minus < 2; ++minus) {
      const float delta = minus != 0 ? -0.125f : 0.125f;
      const Lanes b = along + splat(delta * weighted);
      store_lanes(lines_[minus].a + row, square + splat(2.0f * delta) * linear + splat(delta * delta * weight));
      store_lanes(lines_[minus].b2 + row, b + b);
    }
  }
  for (RowLines<2048>& lines : lines_) lines.narrow(range.low, range.high);
}

RowChoice DeltaUnits::choice(bool minus, float t) const {
  const RowLines<2048>& lines = lines_[minus ? 1 : 0];
  const int at = lines.lowest(t);
  RowChoice choice;
  choice.rows[0] = lines.row[at];
  choice.a = lines.a[at];
  choice.b = 0.5f * lines.b2[at];
  choice.minus_delta = minus;
  return choice;
}

RowChoice DeltaUnits::best(float t, int variant) const {
  if (!free_) return choice(variant == 1, t);
  const RowChoice plus = choice(false, t), minus = choice(true, t);
  return minus.error(t) < plus.error(t) ? minus : plus;
}

}  // namespace fieldprint
