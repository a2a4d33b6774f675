#include "quant/affine_search.h"

#include <initializer_list>

namespace fieldprint {
namespace {

float inverse_or_zero(float scale) { return scale != 0.0f ? 1.0f / scale : 0.0f; }

struct Search {
  const AffineProblem& problem;
  Affine best;
  float best_error = 0.0f;
  bool first = true;

  bool attempt(Affine at) {
    float error;
    const AffineFit fit = fit_affine(problem, at);
    const Affine solved = solve_affine(problem, fit, at, &error);
    // Where next to nothing is left, a difference of large numbers cannot tell how much: values that lie on a grid.
    if (error < 1e-5f * solved.scale * solved.scale * fit.qq) error = fit_affine(problem, solved).error;
    if (!first && !(error < best_error)) return false;
    best = solved, best_error = error, first = false;
    return true;
  }
};

struct SuperBlock {
  Prepared<256> block;
  AffineProblem problems[16];
  int groups;
  int group_top;

  Affine at(const GroupAffine& how, int group) const {
    return {block.unit.scale(how.scale) * static_cast<float>(how.scales[group]),
            block.unit.scale(how.minimum) * static_cast<float>(how.minimums[group])};
  }
  float error(const GroupAffine& how) const {
    float sum = 0.0f;
    for (int g = 0; g < groups; ++g) sum += fit_affine(problems[g], at(how, g)).error;
    return sum;
  }
  int nearest(float value, float inverse) const {
    const float t = value * inverse;
    return static_cast<int>(round_even(t < 0.0f                            ? 0.0f
                                       : t > static_cast<float>(group_top) ? static_cast<float>(group_top)
                                                                           : t));
  }
};

// Halves for the common scale and minimum so that the largest group takes the top step, a little more or a little less.
GroupAffine start(const SuperBlock& super, const Affine* own) {
  float scale_most = 0.0f, minimum_most = 0.0f;
  for (int g = 0; g < super.groups; ++g) {
    scale_most = own[g].scale > scale_most ? own[g].scale : scale_most;
    minimum_most = own[g].minimum > minimum_most ? own[g].minimum : minimum_most;
  }
  const auto top = static_cast<float>(super.group_top);
  const auto set_scale = [&](GroupAffine* how, float shrink) {
    how->scale = super.block.unit.half(scale_most / (top * shrink));
    const float inverse = inverse_or_zero(super.block.unit.scale(how->scale));
    for (int g = 0; g < super.groups; ++g) how->scales[g] = super.nearest(own[g].scale, inverse);
  };
  const auto set_minimum = [&](GroupAffine* how, float shrink) {
    how->minimum = super.block.unit.half(minimum_most / (top * shrink));
    const float inverse = inverse_or_zero(super.block.unit.scale(how->minimum));
    for (int g = 0; g < super.groups; ++g) how->minimums[g] = super.nearest(own[g].minimum, inverse);
  };
  GroupAffine best;
  set_scale(&best, 1.0f);
  set_minimum(&best, 1.0f);
  float best_error = super.error(best);
  for (const bool of_scale : {true, false}) {
    for (int j = -5; j <= 5; ++j) {
      GroupAffine trial = best;
      const float shrink = 1.0f + static_cast<float>(j) * 0.03f;
      if (of_scale) set_scale(&trial, shrink);
      else set_minimum(&trial, shrink);
      const float error = super.error(trial);
      if (error < best_error) best = trial, best_error = error;
    }
  }
  return best;
}

// The common scale and minimum that least squares finds for all quants and group steps of `how`. False where
// unsolvable.
bool solve_common(const SuperBlock& super, GroupAffine* how) {
  // value = D a - M b with a = group scale * q, b = group minimum.
  float aa = 0.0f, ab = 0.0f, bb = 0.0f, xa = 0.0f, xb = 0.0f;
  for (int g = 0; g < super.groups; ++g) {
    const AffineFit fit = fit_affine(super.problems[g], super.at(*how, g));
    const auto s = static_cast<float>(how->scales[g]), m = static_cast<float>(how->minimums[g]);
    aa += s * s * fit.qq;
    ab += s * m * fit.q;
    bb += m * m * super.problems[g].w_sum;
    xa += s * fit.xq;
    xb += m * super.problems[g].wx_sum;
  }
  const float determinant = aa * bb - ab * ab;
  if (determinant > 1e-6f * aa * bb) {
    how->scale = super.block.unit.half((bb * xa - ab * xb) / determinant);
    how->minimum = super.block.unit.half((ab * xa - aa * xb) / determinant);
  } else if (aa > 0.0f) {
    how->scale = super.block.unit.half((xa + super.block.unit.scale(how->minimum) * ab) / aa);
  } else {
    return false;
  }
  return (how->scale & 0x8000) == 0 && (how->minimum & 0x8000) == 0;
}

}  // namespace

AffineProblem affine_problem(const float* x, const float* w, int n, int top, bool unsigned_minimum) {
  Lanes w_sum{}, wx_sum{};
  for (int i = 0; i < n; i += 4) {
    w_sum += load_lanes(w + i);
    wx_sum += load_lanes(w + i) * load_lanes(x + i);
  }
  return {x, w, n, static_cast<float>(top), unsigned_minimum, sum_lanes(w_sum), sum_lanes(wx_sum)};
}

AffineFit fit_affine(const AffineProblem& problem, Affine at) {
  const Lanes inverse = splat(inverse_or_zero(at.scale)), scale = splat(at.scale), minimum = splat(at.minimum);
  const Lanes top = splat(problem.top), zero{};
  Lanes error{}, q_sum{}, qq{}, xq{};
  for (int i = 0; i < problem.n; i += 4) {
    const Lanes x = load_lanes(problem.x + i), w = load_lanes(problem.w + i);
    const Lanes q = round_lanes(smaller(larger((x + minimum) * inverse, zero), top));
    const Lanes off = x - (scale * q - minimum), wq = w * q;
    error += w * off * off;
    q_sum += wq;
    qq += wq * q;
    xq += wq * x;
  }
  return {sum_lanes(error), sum_lanes(q_sum), sum_lanes(qq), sum_lanes(xq)};
}

Affine solve_affine(const AffineProblem& problem, const AffineFit& fit, Affine at, float* error) {
  // Minimise sum(w (x - a q + m)^2): the gradient in (a, m) is zero where
  //   a qq - m q = xq  and  a q - m w = wx.
  const float determinant = fit.qq * problem.w_sum - fit.q * fit.q;
  Affine best = at;
  if (determinant > 1e-6f * fit.qq * problem.w_sum) {
    best.scale = (problem.w_sum * fit.xq - fit.q * problem.wx_sum) / determinant;
    best.minimum = (fit.q * fit.xq - fit.qq * problem.wx_sum) / determinant;
  } else {
    best.minimum = (at.scale * fit.q - problem.wx_sum) / problem.w_sum;
  }
  if (problem.unsigned_minimum && best.minimum < 0.0f) {
    best.minimum = 0.0f;
    best.scale = fit.qq > 0.0f ? fit.xq / fit.qq : 0.0f;
  }
  if (best.scale < 0.0f) best = at;
  // The error is a quadratic in (a, m), whose value here and slope at its end are known; where the end is the edge
  // m = 0, the slope along the edge is 0 and the part across it is added.
  const float da = best.scale - at.scale, dm = best.minimum - at.minimum;
  const float slope_a = best.scale * fit.qq - best.minimum * fit.q - fit.xq;
  const float slope_m = best.minimum * problem.w_sum - best.scale * fit.q + problem.wx_sum;
  *error = fit.error - (da * da * fit.qq - 2.0f * da * dm * fit.q + dm * dm * problem.w_sum) +
           2.0f * (da * slope_a + dm * slope_m);
  return best;
}

Affine search_affine(const AffineProblem& problem) {
  Lanes least = load_lanes(problem.x), most = least;
  for (int i = 4; i < problem.n; i += 4) {
    least = smaller(least, load_lanes(problem.x + i));
    most = larger(most, load_lanes(problem.x + i));
  }
  float low = least_lane(least);
  const float high = -least_lane(-most);
  if (problem.unsigned_minimum && low > 0.0f) low = 0.0f;
  if (!(high > low)) return {0.0f, -low};

  Search search{problem, {}};
  const float range = high - low;
  // A range shorter than the whole, cut at the low end, at the high end, or at both.
  const float shortest = problem.top < 8.0f ? 0.5f : 0.8f;
  constexpr int kRungs = 8;
  // The first rung lets the range take one step less than there are.
  for (int j = -1; j < kRungs; ++j) {
    const float part =
        j < 0 ? problem.top / (problem.top - 1.0f) : 1.0f - (1.0f - shortest) * static_cast<float>(j) * (1.0f / kRungs);
    const float scale = part * range / problem.top, cut = (1.0f - part) * range;
    search.attempt({scale, -low});
    if (j == 0) continue;
    for (const float share : {0.5f, 1.0f}) {
      const float from = low + cut * share;
      search.attempt({scale, problem.unsigned_minimum && from > 0.0f ? 0.0f : -from});
    }
  }
  for (int round = 0; round < 5 && search.attempt(search.best); ++round) {
  }
  return search.best;
}

void affine_quants(const AffineProblem& problem, Affine at, uint8_t* quants) {
  const float inverse = inverse_or_zero(at.scale);
  for (int i = 0; i < problem.n; ++i) {
    const float t = (problem.x[i] + at.minimum) * inverse;
    quants[i] = static_cast<uint8_t>(round_even(t < 0.0f ? 0.0f : t > problem.top ? problem.top : t));
  }
}

HalfAffine encode_affine_32(const float* values, const float* importance, int top, uint8_t* quants) {
  Prepared<32> block;
  prepare(values, importance, &block);
  const AffineProblem problem = affine_problem(block.x, block.w, 32, top, false);
  HalfAffine best{0, 0};
  const auto affine = [&](HalfAffine how) {
    return Affine{block.unit.scale(how.scale), -block.unit.scale(how.minimum)};
  };
  if (!block.zero) {
    const Affine real = search_affine(problem);
    // Where steps are to spare, all quants may move by one: another minimum, which may lie nearer to a half.
    float best_error = -1.0f;
    for (const float steps : {0.0f, -1.0f, 1.0f}) {
      const HalfAffine trial{block.unit.half(real.scale), block.unit.half(steps * real.scale - real.minimum)};
      const float error = fit_affine(problem, affine(trial)).error;
      if (best_error < 0.0f || error < best_error) best = trial, best_error = error;
    }
    const HalfAffine middle = best;
    for (int s = -1; s <= 1; ++s) {
      for (int m = -1; m <= 1; ++m) {
        const int scale = (middle.scale & 0x7fff) + s, minimum = (middle.minimum & 0x7fff) + m;
        if ((s == 0 && m == 0) || scale < 0 || scale >= 0x7c00 || minimum < 0 || minimum >= 0x7c00) continue;
        const HalfAffine trial{static_cast<uint16_t>((middle.scale & 0x8000) | scale),
                               static_cast<uint16_t>((middle.minimum & 0x8000) | minimum)};
        const float error = fit_affine(problem, affine(trial)).error;
        if (error < best_error) best = trial, best_error = error;
      }
    }
  }
  affine_quants(problem, affine(best), quants);
  return best;
}

GroupAffine encode_group_affine(const float* values, const float* importance, int groups, int group_top, int top,
                                uint8_t* quants) {
  SuperBlock super;
  prepare(values, importance, &super.block);
  super.groups = groups;
  super.group_top = group_top;
  const int size = 256 / groups;
  for (int g = 0; g < groups; ++g) {
    super.problems[g] = affine_problem(super.block.x + g * size, super.block.w + g * size, size, top, true);
  }
  GroupAffine best;
  if (!super.block.zero) {
    Affine own[16];
    for (int g = 0; g < groups; ++g) own[g] = search_affine(super.problems[g]);
    best = start(super, own);
    float best_error = super.error(best);
    for (int round = 0; round < 4; ++round) {
      GroupAffine trial = best;
      float error = 0.0f;
      for (int g = 0; g < groups; ++g) {
        float least = -1.0f;
        for (int s = best.scales[g] - 1; s <= best.scales[g] + 1; ++s) {
          for (int m = best.minimums[g] - 1; m <= best.minimums[g] + 1; ++m) {
            if (s < 0 || s > group_top || m < 0 || m > group_top) continue;
            const Affine here{super.block.unit.scale(best.scale) * static_cast<float>(s),
                              super.block.unit.scale(best.minimum) * static_cast<float>(m)};
            const float error_here = fit_affine(super.problems[g], here).error;
            if (least < 0.0f || error_here < least) least = error_here, trial.scales[g] = s, trial.minimums[g] = m;
          }
        }
        error += least;
      }
      const bool better = error < best_error;
      if (better) best = trial, best_error = error;
      if (solve_common(super, &trial)) {
        const float moved = super.error(trial);
        if (moved < best_error) {
          best = trial, best_error = moved;
          continue;
        }
      }
      if (!better) break;
    }
  }
  for (int g = 0; g < groups; ++g) affine_quants(super.problems[g], super.at(best, g), quants + g * size);
  return best;
}

}  // namespace fieldprint
