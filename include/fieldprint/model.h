// A model file, loaded: weights mapped, tokenizer and template ready. Shared by any number of sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/progress.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct LoadOptions {
  int threads = 0;                  // 0 = one per core
  std::string isa = {};             // "" = the best this CPU has ($FIELDPRINT_ISA overrides); scalar, avx2, avx512
  int experts = 0;                  // active experts a token, for a mixture of experts; 0 = as the model was trained
  std::string attention_kind = {};  // dot, gram ...: refuse a model with layers of another kind; "" = any
};

struct TensorInfo {
  std::string name;
  std::string type;             // "Q4_1"
  std::vector<uint64_t> shape;  // as in the file: fastest first
  uint64_t bytes = 0;
};

struct MetadataEntry {
  std::string key;
  std::string type;   // "u32", "string", "array of string" ...
  std::string value;  // printable; arrays show their first elements and their length
};

struct ModelInfo {
  std::string path;
  std::string name;
  std::string architecture;
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;
  uint64_t active_parameters = 0;  // what one token multiplies with
  int layers = 0;
  int width = 0;
  int vocabulary = 0;
  int context = 0;  // trained length
  uint64_t kv_bytes_per_token = 0;
  std::vector<MetadataEntry> metadata;
  std::vector<TensorInfo> tensors;
};

// What a file says of itself, whatever its architecture: for `info`. Throws Error.
ModelInfo inspect_model(const std::string& path);

class Model {
 public:
  // Throws Error: kNotFound, kBadFile, kUnsupported (architecture, instruction set), kUsage (options that the model
  // does not fit).
  static std::shared_ptr<const Model> load(const std::string& path, const LoadOptions& options = {});
  virtual ~Model() = default;

  virtual const ModelInfo& info() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const ChatTemplate* chat_template() const = 0;  // nullptr where the file has none
  virtual std::string_view isa() const = 0;               // the kernels in use
  virtual int threads() const = 0;
};

}  // namespace fieldprint
