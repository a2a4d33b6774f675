// Making model files: from a GGUF file of any types to one of fewer bits (or of more), and from nothing but a shape to
// a model of random weights. Tensor by tensor, streaming, so that memory is bounded by a few rows a thread whatever the
// model's size. The same input and options give the same bytes, on any machine and with any number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/progress.h"

namespace fieldprint {

// A named choice of a type for every tensor: "Q4_K_M".
struct QuantizeMix {
  std::string_view name;
  std::string_view about;  // what differs from the plain type; "" for "all weights alike"
};
std::span<const QuantizeMix> quantize_mixes();

// Tensors whose name matches `pattern` (a glob: * ? [a-z]) get `type`, whatever the mix says. The last match counts.
// Norms, the router, the bias of experts and the kernels of convolutions stay F32 all the same: other engines refuse
// more.
struct TensorTypeRule {
  std::string pattern, type;
};

struct QuantizeOptions {
  std::string mix;  // a name from quantize_mixes(), upper or lower case
  std::vector<TensorTypeRule> tensors;
  std::string importance;         // an importance matrix (GGUF, general.type imatrix); "" = none
  bool allow_unweighted = false;  // types that need an importance matrix do without
  int threads = 0;                // 0 = one a core
};

struct QuantizedTensor {
  std::string name;
  std::vector<uint64_t> shape;  // fastest first
  std::string from, to;         // types
  uint64_t bytes_from = 0, bytes_to = 0;
  bool weighted = false;  // by the importance matrix
  std::string note;       // why not the type that was asked for; else ""
};

struct QuantizePlan {
  std::vector<QuantizedTensor> tensors;   // in file order
  uint64_t bytes_from = 0, bytes_to = 0;  // of all tensors
  uint64_t elements = 0;
  double bits_per_weight() const {
    return elements == 0 ? 0.0 : 8.0 * static_cast<double>(bytes_to) / static_cast<double>(elements);
  }
};

// What quantize() would do: the dry run. Throws Error kUsage for an unknown mix or type, for a type that needs an
// importance matrix where there is none; and as GgufFile::open does.
QuantizePlan plan_quantize(const std::string& in, const QuantizeOptions& options);

// Writes `out`, which appears whole or not at all; `in` may be the same file. Metadata is copied; general.file_type and
// general.quantization_version are set. Throws as plan_quantize, kBadInput where a value is not finite or out of the
// type's range, kIo, and kLimit where `progress` (in bytes of input) returned false.
QuantizePlan quantize(const std::string& in, const std::string& out, const QuantizeOptions& options,
                      const Progress& progress = {});

}  // namespace fieldprint
