// A model file, loaded: weights mapped, tokenizer and template ready. Shared by any number of sessions.
// Immutable; every member may be called from any thread. Sessions of one model share its threads, so that their steps
// take turns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/adapter.h"
#include "fieldprint/chat_template.h"
#include "fieldprint/progress.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct LoadOptions {
  int threads = 0;                  // 0 = one per core; at most 1,024
  std::string isa = {};             // "" = the best of this CPU ($FIELDPRINT_ISA overrides); scalar, avx2, avx512
  int experts = 0;                  // active experts a token, for a mixture of experts; 0 = as the model was trained
  std::string attention_kind = {};  // dot, gram ...: refuse a model with layers of another kind; "" = any
  std::vector<AdapterFile> adapters = {};  // all are added
};

struct TensorInfo {
  std::string name;             // "blk.0.attn_q.weight"
  std::string type;             // "Q4_1"
  std::vector<uint64_t> shape;  // as in the file: the dimension that varies fastest comes first
  uint64_t bytes = 0;           // in the file
};

struct MetadataEntry {
  std::string key;
  std::string type;   // "u32", "string", "array of string" ...
  std::string value;  // printable; arrays show their first elements and their length
};

// Layers that keep the keys and values of the last tokens only.
struct WindowMemory {
  uint64_t tokens = 0;  // that they keep at most: two windows
  uint64_t bytes_per_token = 0;
};

struct ModelInfo {
  std::string path;
  std::string name;          // general.name; may be empty
  std::string architecture;  // general.architecture: "llama", "lfm2" ...
  uint64_t file_bytes = 0;   // of all files
  int files = 1;             // that the model is split into; `path` is the first
  // Of inspect_model(): what the file does not say is 0.
  uint64_t parameters = 0;
  uint64_t active_parameters = 0;  // those that one token is multiplied with; fewer in a mixture of experts
  int layers = 0;
  int unused_blocks = 0;  // behind the layers: they predict further tokens (MTP), which is not done
  int width = 0;          // of the residual stream: floats a token
  int vocabulary = 0;     // logits a position
  int context = 0;        // tokens that the model was trained for
  bool encoder = false;   // it makes vectors of texts and keeps nothing from one token to the next
  // What a sequence keeps, with keys and values in F16; all 0 for an encoder and for an unsupported architecture.
  uint64_t kv_bytes_per_token = 0;       // of the layers that keep every token
  std::vector<WindowMemory> kv_windows;  // of the others, those of one window together
  uint64_t state_bytes = 0;              // recurrent state, the same for any number of tokens
  std::vector<MetadataEntry> metadata;
  std::vector<TensorInfo> tensors;
  std::vector<std::string> warnings;  // sentences: what in the file may make answers wrong, such as a guess

  uint64_t kv_bytes(uint64_t tokens) const;  // keys and values of a sequence of so many tokens
};

// What a file says of itself, whatever its architecture; no weight is looked at. Throws Error kNotFound, kIo, kBadFile.
ModelInfo inspect_model(const std::string& path);

// What the members return lives as long as the model. Load it with load(); it cannot be derived from.
class Model {
 public:
  // Maps the file; weights are read when they are first used. Throws Error kNotFound, kIo, kBadFile, kUnsupported
  // (architecture, instruction set), kUsage (options that do not fit the model).
  static std::shared_ptr<const Model> load(const std::string& path, const LoadOptions& options = {});
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  virtual const ModelInfo& info() const = 0;
  // A file may lack a usable tokenizer or template and still compute logits, so that these two throw late: Error
  // kBadFile or kUnsupported.
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const ChatTemplate* chat_template() const = 0;  // null where the file has none
  virtual std::string_view isa() const = 0;               // of the kernels in use: "scalar", "avx2", "avx512"
  virtual int threads() const = 0;                        // that its steps run on
  // 64 hex digits: of the file's metadata and of samples of every tensor, and of the options that change results,
  // adapters among them.
  // Models of equal fingerprints give equal bits.
  virtual const std::string& fingerprint() const = 0;

 private:
  friend class LoadedModel;  // the one implementation, so that whatever is handed a Model may rely on it
  Model() = default;
};

}  // namespace fieldprint
