// A model architecture: a row of all that differs between architectures, and a forward pass over the op set.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "gguf/gguf.h"
#include "models/config.h"
#include "models/hparams.h"
#include "models/plan.h"
#include "models/weights.h"
#include "ops/ops.h"

namespace fieldprint {

class Architecture {
 public:
  Architecture(Hyperparameters hp, Weights weights) : hp_(std::move(hp)), weights_(std::move(weights)) {}
  virtual ~Architecture() = default;

  const Hyperparameters& hyperparameters() const { return hp_; }
  const Weights& weights() const { return weights_; }

  // Logits [output rows, vocabulary] of the step that `ops` has begun; of an encoder the tokens' vectors [output rows,
  // width].
  virtual Tensor forward(Ops& ops) const = 0;

 private:
  Hyperparameters hp_;
  Weights weights_;
};

// A type of Hugging Face model that becomes one of the architecture.
struct HuggingFaceType {
  std::string_view name;  // model_type in config.json
  // Throws Error kBadFile, kUnsupported: for what would be another model of the same tensors.
  Hyperparameters (*read)(const Config& config);
  std::string_view prefix = "model.";  // what stands there for the "model." of the plan
  // How names begin of tensors that the architecture has no use for; {} is a layer's number.
  std::span<const std::string_view> left_out = {};
  std::string_view optional_prefix = {};  // that some folders have in front of all names
};

// A shape that `synth` makes.
struct Preset {
  std::string_view name, about;
  std::string_view pre_tokenizer;  // of its vocabulary of bytes
  std::string_view config;         // as in config.json
};

// All that differs between architectures.
struct ArchitectureRow {
  std::string_view name;           // general.architecture
  std::string_view pre_tokenizer;  // the name that its files use where several names cut words alike; "" = any of them
  std::span<const HuggingFaceType> hugging_face;
  TensorPlan tensors;
  std::span<const Preset> presets;
  Hyperparameters (*read)(const Metadata& metadata);  // throws Error kBadFile, kUnsupported
  void (*write)(const MetadataWriter& out, const Hyperparameters& hp);
  std::unique_ptr<Architecture> (*make)(Hyperparameters hp, Weights weights);
};

template <class Model>
std::unique_ptr<Architecture> make_architecture(Hyperparameters hp, Weights weights) {
  return std::make_unique<Model>(std::move(hp), std::move(weights));
}

std::span<const ArchitectureRow* const> architectures();
const ArchitectureRow& architecture_of(const GgufFile& file);  // throws Error kUnsupported, naming the known ones

// What a user may want otherwise than the file says.
struct ModelOverrides {
  int experts = 0;                  // active ones a token; 0 = as the file says
  std::string_view attention_kind;  // the kind that all layers must be of; "" = any
  WeightOptions weights = {};
};

// Throws Error kUnsupported, naming the known ones, for a file of another architecture; kBadFile for missing or
// misshapen parts; kUsage for overrides that do not fit the model. `file` outlives the result.
std::unique_ptr<Architecture> load_architecture(const GgufFile& file, const ModelOverrides& overrides = {});

// The hyperparameters alone, and what each layer keeps (`kv`); no weight is looked at and `parameters` stay 0. Throws
// as load_architecture().
Hyperparameters read_hyperparameters(const GgufFile& file);

// Throws Error kUnsupported for what no executor can compute, whatever the architecture.
void check_supported(const Hyperparameters& hp, const std::string& where);

// The architecture of a config.json, and its hyperparameters. Throws Error kUnsupported, naming the known ones, for
// another model_type.
struct ConfiguredModel {
  const ArchitectureRow* row;
  Hyperparameters hp;
  const HuggingFaceType* type;
};
ConfiguredModel read_config(const Config& config);

}  // namespace fieldprint
