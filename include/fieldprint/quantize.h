// Quantising: from a GGUF file or a folder of safetensors to a GGUF file of other types. Tensor by tensor, so that
// memory is bounded by a few rows a thread whatever the model's size. The same input and options give the same bytes,
// on any machine and with any number of threads. From any thread; one call at a time may write to the same file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/adapter.h"
#include "fieldprint/progress.h"

namespace fieldprint {

// A named choice of a type for every tensor. The strings live as long as the program.
struct QuantizeMix {
  std::string_view name;   // "Q4_K_M"
  std::string_view about;  // what differs from the plain type; "" where all weights are alike
};
std::span<const QuantizeMix> quantize_mixes();

// Tensors whose name matches `pattern` (a glob: * ? [a-z]) get `type`, whatever the mix says. The last match counts.
// Norms, the router, the bias of experts and the kernels of convolutions stay F32 all the same: other engines refuse
// more.
struct TensorTypeRule {
  std::string pattern, type;
};

struct QuantizeOptions {
  // A name from quantize_mixes(), upper or lower case; "" = every tensor keeps its type, where adapters are put in.
  std::string mix;
  std::vector<TensorTypeRule> tensors;
  std::string importance;                  // an importance matrix (GGUF, general.type imatrix); "" = none
  bool allow_unweighted = false;           // types that need an importance matrix do without
  std::vector<AdapterFile> adapters = {};  // merged: added to the weights, in float32, before these are encoded
  int threads = 0;                         // 0 = one per core
  // 0: one file. Else several of at most so many bytes each, unless the metadata or one tensor takes more: OUT
  // model.gguf becomes model-00001-of-00003.gguf and so on, which read as one model where the first is named.
  uint64_t split_bytes = 0;
};

struct QuantizedTensor {
  std::string name;
  std::vector<uint64_t> shape;  // fastest first
  std::string from, to;         // types
  uint64_t bytes_from = 0, bytes_to = 0;
  bool weighted = false;  // by the importance matrix
  bool merged = false;    // an adapter changes it
  std::string note;       // why not the type that was asked for; else ""
};

struct QuantizePlan {
  std::vector<QuantizedTensor> tensors;   // in file order
  uint64_t bytes_from = 0, bytes_to = 0;  // of all tensors
  uint64_t elements = 0;
  std::vector<std::string> files;  // that quantize() wrote
  double bits_per_weight() const {
    return elements == 0 ? 0.0 : 8.0 * static_cast<double>(bytes_to) / static_cast<double>(elements);
  }
};

// What quantize() would do, without writing. `in`: a GGUF file, or a folder of safetensors as on Hugging Face. Throws
// Error kUsage for an unknown mix or type and for a type that needs an importance matrix where there is none;
// kNotFound, kIo, kBadFile and kUnsupported for what `in` holds.
QuantizePlan plan_quantize(const std::string& in, const QuantizeOptions& options);

// Writes `out`, which appears whole or not at all (split: the first file last); `in` may be the same file. Metadata is
// copied; with a mix general.file_type and general.quantization_version are set. Throws as plan_quantize, kBadInput
// where a value is not finite or out of the type's range, kIo, and kLimit where `progress` (in bytes of input) returned
// false.
QuantizePlan quantize(const std::string& in, const std::string& out, const QuantizeOptions& options,
                      const Progress& progress = {});

}  // namespace fieldprint
