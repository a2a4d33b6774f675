#include "ops/activations.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "kernels/select.h"

namespace fieldprint {
namespace {

void copy_blocks(const Quantized& from, const Quantized& to, int count) {
  std::copy_n(from.q, count * kActivationBlock, to.q);
  std::copy_n(from.d, count, to.d);
  std::copy_n(from.sum, count, to.sum);
  std::copy_n(from.half_sums, count * 2, to.half_sums);
  std::copy_n(from.pair_sums, count * 4, to.pair_sums);
}

}  // namespace

Activations activations(RunExecutor& run, const Tensor& x, const Weight& w) {
  assert(w.cols == x.cols());
  if (wants_quantized(run.kernels(), *w.type)) return quantized(run, x);
  Activations a;
  a.f32 = run.data(x);
  return a;
}

Activations rows_from(const Activations& x, int64_t row, int k) {
  if (x.outliers != nullptr) return x.from(row, k);
  Activations a;
  a.f32 = x.f32 + row * k;
  return a;
}

Activations quantized(RunExecutor& run, const Tensor& x) {
  const Activations out = quantized_memory(run, x);
  TensorArena::Slot& slot = run.arena().slot(x);
  if (slot.quantized_valid) return out;
  const OpScope scope(run, "quantize");
  const float* values = run.data(x);
  const int k = static_cast<int>(x.cols());
  run.for_rows(x.rows(), [&](int row) { run.kernels().quantize(values + int64_t{row} * k, k, out.from(row, k)); });
  slot.quantized_valid = true;
  return out;
}

Activations quantized_memory(RunExecutor& run, const Tensor& x) {
  const int k = static_cast<int>(x.cols());
  const auto size = static_cast<size_t>(x.rows()) * static_cast<size_t>(k);
  const auto words = static_cast<size_t>(x.rows()) * static_cast<size_t>(Activations::outlier_words(k));
  // A block of 32: the integers, d, sum, two parts and four pairs.
  const size_t half = size + size / kActivationBlock * (2 * sizeof(float) + 6 * sizeof(int16_t));
  std::byte* memory = run.arena().slot(x).quantized.require(2 * half + words * sizeof(uint32_t));
  const auto lay = [size](std::byte* at) {
    Quantized part;
    part.q = reinterpret_cast<int8_t*>(at);
    part.d = reinterpret_cast<float*>(at + size);
    part.sum = part.d + size / kActivationBlock;
    part.half_sums = reinterpret_cast<int16_t*>(part.sum + size / kActivationBlock);
    part.pair_sums = part.half_sums + size / kActivationBlock * 2;
    return part;
  };
  return {run.data(x), lay(memory), lay(memory + half), reinterpret_cast<uint32_t*>(memory + 2 * half)};
}

void copy_row(const Activations& from, const Activations& to, int k) {
  copy_blocks(from.high, to.high, k / kActivationBlock);
  for (int w = 0; w < Activations::outlier_words(k); ++w) {
    to.outliers[w] = from.outliers[w];
    for (uint32_t left = from.outliers[w]; left != 0; left &= left - 1) {
      const int b = w * kOutlierWord + std::countr_zero(left);
      copy_blocks(from.residual.skip(b), to.residual.skip(b), 1);
    }
  }
}

}  // namespace fieldprint
