// The attention of one layer, for every architecture: projections, norms, RoPE, and the kind that the file asks for
// (docs/formats/attention.md).
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "models/tensors.h"
#include "ops/ops.h"

namespace fieldprint {

class AttentionLayer {
 public:
  struct Sizes {
    int layer = 0;
    int width = 0;
    int heads = 0, kv_heads = 0, head_dim = 0;
    int window = 0;
    bool head_norms = false;  // q, k and r are RMS-normed per head, by weights of the file
  };

  AttentionLayer() = default;
  // `arch` is the prefix of the metadata's keys, "llama". Throws Error kBadFile, kUnsupported.
  AttentionLayer(const GgufFile& file, const std::string& arch, const Sizes& sizes, TensorSource& source,
                 std::deque<std::vector<float>>& storage);

  const AttentionKind& kind() const { return *shape_.spec.kind; }

  // What h [T, width], the normed stream, adds to the stream.
  Tensor forward(Ops& ops, const Tensor& h, const Rope& rope, float eps) const;

 private:
  Weight q_, k_, v_, o_, r_;
  Weight q_norm_, k_norm_, r_norm_;  // without a type: none
  AttendShape shape_;
};

}  // namespace fieldprint
