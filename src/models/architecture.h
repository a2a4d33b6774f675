// A model architecture: what its files must hold, and its forward pass over the op set.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"
#include "ops/ops.h"

namespace fieldprint {

struct Hyperparameters {
  int layers = 0;
  int width = 0;
  int vocabulary = 0;
  int context = 0;               // trained length
  std::vector<KvLayerShape> kv;  // one a layer
  int64_t parameters = 0;
  int64_t active_parameters = 0;                // what one token multiplies with
  int experts = 0;                              // a layer; 0: no mixture of experts
  std::vector<const AttentionKind*> attention;  // one a layer; nullptr: a layer without
};

// What a user may want otherwise than the file says.
struct ModelOverrides {
  int experts = 0;                  // active ones a token; 0 = as the file says
  std::string_view attention_kind;  // the kind that all layers must be of; "" = any
};

class Architecture {
 public:
  virtual ~Architecture() = default;
  virtual const Hyperparameters& hyperparameters() const = 0;

  // Logits [output rows, vocabulary] of the step that `ops` has begun.
  virtual Tensor forward(Ops& ops) const = 0;
};

// One row an architecture; `name` is general.architecture. load() throws Error kBadFile for missing or misshapen parts,
// kUnsupported for what the file asks for and the architecture here does not do.
struct ArchitectureRow {
  std::string_view name;
  std::unique_ptr<Architecture> (*load)(const GgufFile& file, const ModelOverrides& overrides);
};

std::span<const ArchitectureRow> architectures();

// Throws Error kUnsupported, naming the known ones, for a file of another architecture; kUsage for overrides that do
// not fit the model. `file` outlives the result.
std::unique_ptr<Architecture> load_architecture(const GgufFile& file, const ModelOverrides& overrides = {});

}  // namespace fieldprint
