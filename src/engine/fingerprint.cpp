#include "engine/fingerprint.h"

#include <algorithm>

#include "base/sha256.h"

namespace fieldprint {
namespace {

void update(Sha256& hash, std::string_view text) {
  const uint64_t size = text.size();  // else "ab", "c" would be "a", "bc"
  hash.update(std::as_bytes(std::span(&size, 1)));
  hash.update(std::as_bytes(std::span(text)));
}

}  // namespace

std::string model_fingerprint(const GgufFile& file) {
  constexpr uint64_t kEnd = 4096;
  Sha256 hash;
  GgufWriter metadata;
  for (const auto& [key, value] : file.metadata()) metadata.copy(key, value);
  hash.update(metadata.bytes());
  for (const GgufTensor& tensor : file.tensors()) {
    update(hash, tensor.name);
    update(hash, tensor.type->name);
    hash.update(std::as_bytes(std::span(tensor.shape)));
    const auto bytes = static_cast<size_t>(std::min(kEnd, tensor.bytes));
    hash.update({tensor.data, bytes});
    hash.update({tensor.data + tensor.bytes - bytes, bytes});
  }
  return hash.hex();
}

std::string vocabulary_fingerprint(const GgufFile& file) {
  Sha256 hash;
  update(hash, file.string("tokenizer.ggml.model", ""));
  if (const GgufArray* tokens = file.array("tokenizer.ggml.tokens"); tokens != nullptr) {
    for (const std::string_view token : tokens->strings) update(hash, token);
  }
  return hash.hex();
}

}  // namespace fieldprint
