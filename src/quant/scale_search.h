// The search for one scale: values x, weights w, levels l. The best quants of a scale d are the levels nearest to x /
// d; the best scale of quants q is sum(w x q) / sum(w q^2). The search tries a ladder of scales, improves
// each by least squares, and alternates the two from the best.
#pragma once

#include <initializer_list>

#include "quant/lanes.h"
#include "quant/prepared.h"

namespace fieldprint {

// Integers low .. high.
struct EvenLevels {
  float low, high;

  Lanes nearest(Lanes t) const { return round_lanes(smaller(larger(t, splat(low)), splat(high))); }
  int index(float t) const { return static_cast<int>(round_even(t < low ? low : t > high ? high : t) - low); }
};

// Any ascending levels.
template <int kCount>
struct UnevenLevels {
  float levels[kCount];
  float low, high;
  float middle[kCount - 1];  // between level k and the next
  float step[kCount - 1];

  template <typename Integer>
  constexpr explicit UnevenLevels(const Integer (&values)[kCount]) : levels{}, low(0), high(0), middle{}, step{} {
    for (int k = 0; k < kCount; ++k) levels[k] = static_cast<float>(values[k]);
    for (int k = 0; k + 1 < kCount; ++k) {
      middle[k] = (levels[k] + levels[k + 1]) * 0.5f;
      step[k] = levels[k + 1] - levels[k];
    }
    low = levels[0];
    high = levels[kCount - 1];
  }

  Lanes nearest(Lanes t) const {
    Lanes level = splat(low);
    for (int k = 0; k + 1 < kCount; ++k) level += keep(t > splat(middle[k]), splat(step[k]));
    return level;
  }
  int index(float t) const {
    int index = 0;
    for (int k = 0; k + 1 < kCount; ++k) index += t > middle[k] ? 1 : 0;
    return index;
  }
};

inline float inverse_or_zero(float scale) { return scale != 0.0f ? 1.0f / scale : 0.0f; }

// With q the levels nearest to x / scale: error = sum(w (x - scale q)^2), xq = sum(w x q), qq = sum(w q^2).
struct ScaleFit {
  float error, xq, qq;

  float best_scale() const { return qq > 0.0f ? xq / qq : 0.0f; }
  // The error of the same quants under best_scale().
  float least_error(float scale) const {
    const float away = scale - best_scale();
    return error - qq * away * away;
  }
};

template <typename Levels>
ScaleFit fit_scale(const Levels& levels, const float* x, const float* w, int n, float scale) {
  const Lanes inverse = splat(inverse_or_zero(scale)), by = splat(scale);
  Lanes error{}, xq{}, qq{};
  for (int i = 0; i < n; i += 4) {
    const Lanes value = load_lanes(x + i), weight = load_lanes(w + i);
    const Lanes q = levels.nearest(value * inverse);
    const Lanes off = value - by * q, wq = weight * q;
    error += weight * off * off;
    xq += wq * value;
    qq += wq * q;
  }
  return {sum_lanes(error), sum_lanes(xq), sum_lanes(qq)};
}

// Rung j, j = 0 .. rungs - 1, is the least scale that clips nothing times high / (high + (j - 1) * step).
struct ScaleLadder {
  int rungs;
  float step;
};

// The best scale of x [n], n a multiple of 4. Negative ones count where the levels are not symmetric.
template <typename Levels>
float search_scale(const Levels& levels, const float* x, const float* w, int n, ScaleLadder ladder) {
  Lanes least{}, most{};
  for (int i = 0; i < n; i += 4) {
    least = smaller(least, load_lanes(x + i));
    most = larger(most, load_lanes(x + i));
  }
  const float down = -least_lane(least), up = -least_lane(-most);  // both >= 0
  if (down == 0.0f && up == 0.0f) return 0.0f;

  float best = 0.0f, best_error = 0.0f;
  bool first = true;
  const auto attempt = [&](float scale) {
    const ScaleFit fit = fit_scale(levels, x, w, n, scale);
    const float error = fit.least_error(scale);
    if (!first && !(error < best_error)) return false;
    best = fit.best_scale(), best_error = error, first = false;
    return true;
  };
  const auto unclipped = [&](float above, float below) {
    const float a = above / levels.high, b = below / -levels.low;
    return a > b ? a : b;
  };
  const bool symmetric = levels.low == -levels.high;
  const float plain = unclipped(up, down), mirrored = unclipped(down, up);
  for (int j = 0; j < ladder.rungs; ++j) {
    const float shrink = levels.high / (levels.high + static_cast<float>(j - 1) * ladder.step);
    attempt(plain * shrink);
    if (!symmetric) attempt(-mirrored * shrink);
  }
  for (int round = 0; round < 4 && attempt(best); ++round) {
  }
  return best;
}

// The half next to `scale` under which the error of x is least.
template <typename Levels>
uint16_t round_scale(const Levels& levels, const float* x, const float* w, int n, float scale, const Unit& unit) {
  const uint16_t nearest = unit.half(scale);
  uint16_t best = nearest;
  float best_error = fit_scale(levels, x, w, n, unit.scale(nearest)).error;
  for (int away : {-1, 1}) {
    const int magnitude = (nearest & 0x7fff) + away;
    if (magnitude < 0 || magnitude >= 0x7c00) continue;
    const auto half = static_cast<uint16_t>((nearest & 0x8000) | magnitude);
    const float error = fit_scale(levels, x, w, n, unit.scale(half)).error;
    if (error < best_error) best = half, best_error = error;
  }
  return best;
}

// Writes the number of the nearest level of each value.
template <typename Levels>
void nearest_indices(const Levels& levels, const float* x, int n, float scale, uint8_t* indices) {
  const float inverse = inverse_or_zero(scale);
  for (int i = 0; i < n; ++i) indices[i] = static_cast<uint8_t>(levels.index(x[i] * inverse));
}

// One block of one half scale: searches it, writes the level numbers and returns the scale.
template <int kElements, typename Levels>
uint16_t encode_scaled(const Levels& levels, const float* values, const float* importance, ScaleLadder ladder,
                       uint8_t* indices) {
  Prepared<kElements> block;
  prepare(values, importance, &block);
  uint16_t scale = 0;
  if (!block.zero) {
    scale = round_scale(levels, block.x, block.w, kElements, search_scale(levels, block.x, block.w, kElements, ladder),
                        block.unit);
  }
  nearest_indices(levels, block.x, kElements, block.unit.scale(scale), indices);
  return scale;
}

// 256 values in groups of scale * group scale.
template <int kGroups>
struct GroupScales {
  uint16_t scale = 0;  // half
  int groups[kGroups] = {};
};

// Searches the scale and the group scales, integers -limit .. limit - 1, together: first each group's own best scale,
// then a common scale, then by turns each group scale up or down by one and the common scale by least squares.
template <int kGroups, typename Levels>
GroupScales<kGroups> search_group_scales(const Levels& levels, const Prepared<256>& block, int limit,
                                         ScaleLadder ladder) {
  constexpr int kSize = 256 / kGroups;
  GroupScales<kGroups> best;
  if (block.zero) return best;
  const auto fit = [&](int group, float scale) {
    return fit_scale(levels, block.x + group * kSize, block.w + group * kSize, kSize, scale);
  };
  const auto clamp = [&](int group_scale) {
    return group_scale < -limit ? -limit : group_scale > limit - 1 ? limit - 1 : group_scale;
  };

  float own[kGroups], extreme = 0.0f;
  for (int g = 0; g < kGroups; ++g) {
    own[g] = search_scale(levels, block.x + g * kSize, block.w + g * kSize, kSize, ladder);
    const float magnitude = own[g] < 0.0f ? -own[g] : own[g];
    if (magnitude > (extreme < 0.0f ? -extreme : extreme)) extreme = own[g];
  }

  float best_error = -1.0f;
  for (int j = -4; j <= 6; ++j) {
    const auto top = static_cast<float>(-limit) * (1.0f + static_cast<float>(j) * (1.0f / 64));
    GroupScales<kGroups> trial;
    trial.scale = block.unit.half(extreme / top);
    const float scale = block.unit.scale(trial.scale), inverse = inverse_or_zero(scale);
    float error = 0.0f;
    for (int g = 0; g < kGroups; ++g) {
      const float t = own[g] * inverse;
      trial.groups[g] = clamp(static_cast<int>(round_even(t < -1000.0f ? -1000.0f : t > 1000.0f ? 1000.0f : t)));
      error += fit(g, scale * static_cast<float>(trial.groups[g])).error;
    }
    if (best_error < 0.0f || error < best_error) best = trial, best_error = error;
  }

  for (int round = 0; round < 4; ++round) {
    GroupScales<kGroups> trial = best;
    const float scale = block.unit.scale(trial.scale);
    float xq = 0.0f, qq = 0.0f, error = 0.0f;
    for (int g = 0; g < kGroups; ++g) {
      ScaleFit least{};
      for (int away : {0, -1, 1}) {
        const int group_scale = clamp(best.groups[g] + away);
        const ScaleFit here = fit(g, scale * static_cast<float>(group_scale));
        if (away == 0 || here.error < least.error) least = here, trial.groups[g] = group_scale;
      }
      const auto group_scale = static_cast<float>(trial.groups[g]);
      xq += group_scale * least.xq;
      qq += group_scale * group_scale * least.qq;
      error += least.error;
    }
    const bool better = error < best_error;
    if (better) best = trial, best_error = error;
    if (qq > 0.0f) {
      trial.scale = block.unit.half(xq / qq);
      const float moved = block.unit.scale(trial.scale);
      float moved_error = 0.0f;
      for (int g = 0; g < kGroups; ++g) moved_error += fit(g, moved * static_cast<float>(trial.groups[g])).error;
      if (moved_error < best_error) {
        best = trial, best_error = moved_error;
        continue;
      }
    }
    if (!better) break;
  }
  return best;
}

}  // namespace fieldprint
