#include "naive.h"

#include <dlfcn.h>

#include <algorithm>

namespace fieldprint {
namespace {

// cblas.h's, so that no header is needed to build.
enum { kRowMajor = 101, kNoTranspose = 111, kTranspose = 112 };
using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a,
                       int a_stride, const float* b, int b_stride, float beta, float* c, int c_stride);
using SetThreads = void (*)(int);

struct Blas {
  Sgemm sgemm = nullptr;
  SetThreads set_threads = nullptr;
  Blas() {
    void* library = ::dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    sgemm = reinterpret_cast<Sgemm>(::dlsym(library, "cblas_sgemm"));
    set_threads = reinterpret_cast<SetThreads>(::dlsym(library, "openblas_set_num_threads"));
  }
};

const Blas& blas() {
  static const Blas library;
  return library;
}

// Weights of one row of scores that sees its first `seen` of `count` keys; returns their sum.
float softmax_row(const KernelTable& kernels, float* row, int seen, int count) {
  constexpr int kLanes = 16;
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, row[0]);
  int j = 0;
  for (; j + kLanes <= seen; j += kLanes) {
    for (int i = 0; i < kLanes; ++i) lanes[i] = row[j + i] > lanes[i] ? row[j + i] : lanes[i];
  }
  for (; j < seen; ++j) lanes[0] = std::max(lanes[0], row[j]);
  SoftmaxState state;
  state.m = *std::max_element(lanes, lanes + kLanes);
  constexpr float kScale = 1;
  for (j = 0; j < seen; j += kTileKeys) {
    const int some = std::min(kTileKeys, seen - j);
    kernels.softmax_rows({.scores = row + j, .seen = &some, .scale = &kScale, .state = &state, .rows = 1});
  }
  std::fill(row + seen, row + count, 0.0f);
  return state.l;
}

}  // namespace

bool has_blas() { return blas().sgemm != nullptr && blas().set_threads != nullptr; }

void attend_naive(const NaiveAttention& args, ThreadPool& pool, std::vector<float>& scores) {
  blas().set_threads(pool.threads());
  const int q_stride = args.heads * args.d, kv_stride = args.kv_heads * args.d;
  // out = beta * out + weight * softmax(scale q k^T) v for one head.
  const auto add = [&](int head, const float* k, const float* v, int keys, bool causal, float scale, float weight,
                       float beta) {
    const float* q = args.q + head * args.d;
    const int64_t at = head / (args.heads / args.kv_heads) * args.d;
    float* out = args.out + head * args.d;
    scores.resize(static_cast<size_t>(args.tokens) * static_cast<size_t>(keys));
    blas().sgemm(kRowMajor, kNoTranspose, kTranspose, args.tokens, keys, args.d, scale, q, q_stride, k + at, kv_stride,
                 0, scores.data(), keys);
    pool.run(args.tokens, [&](int64_t t, int) {
      float* row = scores.data() + t * keys;
      const int seen = causal ? args.first + static_cast<int>(t) + 1 : keys;
      const float share = weight / softmax_row(*args.kernels, row, seen, keys);
      for (int j = 0; j < seen; ++j) row[j] *= share;
    });
    blas().sgemm(kRowMajor, kNoTranspose, kNoTranspose, args.tokens, args.d, keys, 1, scores.data(), keys, v + at,
                 kv_stride, beta, out, q_stride);
  };
  for (int head = 0; head < args.heads; ++head) {
    add(head, args.k, args.v, args.first + args.tokens, true, args.scale, 1 - args.share, 0);
    if (args.share > 0)
      add(head, args.anchor_keys, args.anchor_values, args.anchors, false, args.anchor_scale, args.share, 1);
  }
}

}  // namespace fieldprint
