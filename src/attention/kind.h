// How a layer scores its keys. A kind is one file beside this one and one row of kinds.def; pages, tiles, masks,
// states and splits (walk.h) know nothing of it.
//
// A query (with what else belongs to its position, r) becomes `vectors` vectors and a factor, once. For each tile of
// keys the walk multiplies these vectors with the keys; combine() makes one number a key of the products, and the score
// is that times the factor and the layer's scale. Nothing of r is cached.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/table.h"
#include "kv/sequence.h"

namespace fieldprint {

inline constexpr int kTile = kTileKeys;  // keys that are absorbed at once, cut at absolute positions
inline constexpr int kMaxQueryVectors = 2;

struct AttentionKind {
  std::string_view name;   // as files say it
  bool third_projection;   // wants r, a third projection of the query's position
  bool key_squares;        // combine() wants |k|^2, which pages then keep
  bool anchors;            // mixes in a second softmax, over anchor rows
  int vectors;             // 1 .. kMaxQueryVectors
  double (*scale)(int d);  // of the scores, where the file does not say
  // q, r [d] -> vectors + v * stride [d] for each v. Returns the factor. r is nullptr where not wanted.
  double (*prepare)(const float* q, const float* r, int d, float* vectors, int64_t stride);
  // products [vectors][stride] -> combined [n], which may be products; squares [n]. nullptr: the product itself.
  void (*combine)(const float* products, int64_t stride, const float* squares, int n, float* combined);
  // The score of q, r, k [d] before scaling, by the formula as it is published: what the reference evaluates.
  double (*formula_f64)(const double* q, const double* r, const double* k, int d);
  float (*formula_f32)(const float* q, const float* r, const float* k, int d);

  // ---- Gradients (backward.h), of some sum of results.

  bool factor;  // prepare()'s factor depends on q and r
  // From those of the vectors [vectors][stride] and of the factor: to dq and dr [d] is added, where they are given.
  void (*prepare_backward)(const float* q, const float* r, int d, const float* d_vectors, int64_t stride,
                           double d_factor, float* dq, float* dr);
  // d [vectors][stride]: d[0] is that of combined [n] and becomes those of the products; d_squares [n] is added to.
  void (*combine_backward)(const float* products, int64_t stride, const float* squares, int n, float* d,
                           float* d_squares);
  // From ds, that of the formula's score: to dq, dr and dk [d] is added.
  void (*formula_backward)(const double* q, const double* r, const double* k, int d, double ds, double* dq, double* dr,
                           double* dk);

  // A third projection of the key's position makes two vectors of each key, which stand in it one behind the other: the
  // op key_plane. Heads are twice as long, of queries and values the second half is 0.
  bool key_plane = false;

  bool wants_r() const { return third_projection || key_plane; }  // of the layer
};

std::span<const AttentionKind> attention_kinds();
const AttentionKind* find_attention_kind(std::string_view name);  // nullptr: none
const AttentionKind& dot_kind();                                  // what a model has that says nothing
AttentionKind dot();  // to start from, for kinds that differ from it in a part

// Keys and values that every query of a layer sees in a softmax of their own. Float32 as in the file, and in pages as
// keys and values of the context are kept.
class AnchorRows {
 public:
  // keys, values [count, kv_heads, d]
  AnchorRows(std::vector<float> keys, std::vector<float> values, int kv_heads, int d);
  ~AnchorRows();

  int count() const { return count_; }
  std::span<const float> keys() const { return keys_; }
  std::span<const float> values() const { return values_; }

  // Positions [0, count) of one layer, in pages of kTile. Made when first asked for, by whichever thread.
  const KvSequence& pages(KvType type) const;

 private:
  struct Pages;

  int kv_heads_, d_, count_;
  std::vector<float> keys_, values_;
  mutable std::once_flag made_[kKvTypes];
  mutable std::unique_ptr<Pages> pages_[kKvTypes];
};

// How one layer attends: its kind and the numbers that the kind takes.
struct AttentionSpec {
  const AttentionKind* kind = &dot_kind();
  float scale = 1;
  // Mixed form: out = (1 - share) * attention to the context + share * attention to the anchors. At share 0 no anchor
  // is looked at, at share 1 no key of the context.
  std::shared_ptr<const AnchorRows> anchors = {};
  float share = 0;
  float anchor_scale = 1;
  float softcap = 0;  // other than 0: a scaled score s counts as softcap * tanh(s / softcap) (Gemma 2)
  // Where given, [heads]: a logit more in each head's softmax over the context, which takes its share of the mass and
  // gives no value (gpt-oss). Whoever has the numbers outlives the spec.
  std::span<const float> sinks = {};
};

}  // namespace fieldprint
