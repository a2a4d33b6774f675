#include "models/hparams.h"

#include <fmt/format.h>

#include "base/math.h"
#include "fieldprint/error.h"

namespace fieldprint {

int positive(const GgufFile& file, const std::string& key, int64_t limit) {
  const int64_t n = file.integer(key);
  if (n < 1 || n > limit) {
    throw Error(ErrorKind::kBadFile, fmt::format("{} is {}, expected 1 to {}", key, n, limit), file.path());
  }
  return static_cast<int>(n);
}

void check_heads(const GgufFile& file, int heads, int kv_heads, int head_dim) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kUnsupported, what, file.path()); };
  if (kv_heads < 1 || heads % kv_heads != 0)
    refuse(fmt::format("{} heads cannot share {} K/V heads evenly", heads, kv_heads));
  if (heads / kv_heads > kMaxHeadGroup) {
    refuse(fmt::format("more than {} query heads to a K/V head are not supported", kMaxHeadGroup));
  }
  if (head_dim < 8 || head_dim > kMaxHeadDim || head_dim % 8 != 0) {
    refuse(fmt::format("a head size of {} is not supported, a multiple of 8 up to {} is", head_dim, kMaxHeadDim));
  }
}

Rope load_rope(const GgufFile& file, const std::string& arch, RopePairs pairs, int head_dim, TensorSource& source) {
  const int64_t d = file.integer(arch + ".rope.dimension_count", head_dim);
  if (d < 2 || d > head_dim || d % 2 != 0) {
    throw Error(ErrorKind::kBadFile, fmt::format("{}.rope.dimension_count is {}, the head size {}", arch, d, head_dim),
                file.path());
  }
  const double base = file.number(arch + ".rope.freq_base", 10000.0);
  const std::string_view scaling = file.string(arch + ".rope.scaling.type", "none");
  double factor = file.number(arch + ".rope.scale_linear", 1.0);
  if (scaling == "linear") {
    factor = file.number(arch + ".rope.scaling.factor", factor);
  } else if (scaling != "none") {
    throw Error(ErrorKind::kUnsupported, fmt::format("RoPE scaling of type '{}' is not supported", scaling),
                file.path());
  }
  if (!(base > 0) || !(factor > 0))
    throw Error(ErrorKind::kBadFile, "RoPE base and scaling factor must be positive", file.path());
  std::vector<float> divisors(static_cast<size_t>(d / 2), 1.0f);
  if (source.has("rope_freqs.weight")) {
    std::deque<std::vector<float>> storage;
    source.vector("rope_freqs.weight", d / 2, storage);
    divisors = storage.front();
  }
  Rope rope;
  rope.pairs = pairs;
  for (int64_t i = 0; i < d / 2; ++i) {
    const double frequency = exp_f64(-2.0 * static_cast<double>(i) / static_cast<double>(d) * log_f64(base));
    rope.inverse_frequency.push_back(frequency / factor / static_cast<double>(divisors[static_cast<size_t>(i)]));
  }
  return rope;
}

}  // namespace fieldprint
