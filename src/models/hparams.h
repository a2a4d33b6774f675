// What architectures read from a file's metadata in the same way. `arch` is the keys' prefix, "llama".
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "models/tensors.h"
#include "ops/ops.h"

namespace fieldprint {

// An integer of 1 .. limit. Throws Error kBadFile that names the key.
int positive(const GgufFile& file, const std::string& key, int64_t limit);

// Throws Error kUnsupported for heads that no executor can attend with.
void check_heads(const GgufFile& file, int heads, int kv_heads, int head_dim);

// RoPE as `arch`.rope.* ask: inverse_frequency[i] = base^(-2i / d), divided by the linear scaling factor and, where the
// file has the tensor, by the per-pair factors of `rope_freqs` (Llama 3.1's long-context scaling). Throws Error
// kBadFile, kUnsupported for other kinds of scaling.
Rope load_rope(const GgufFile& file, const std::string& arch, RopePairs pairs, int head_dim, TensorSource& source);

}  // namespace fieldprint
