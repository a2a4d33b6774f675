#include "engine/inspect.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "kv/layout.h"
#include "models/architecture.h"
#include "models/metadata.h"
#include "text/guess_pre_tokenizer.h"

namespace fieldprint {
namespace {

constexpr uint64_t kShownElements = 6;

std::string element(const GgufArray& array, uint64_t i) {
  switch (array.kind) {
    case GgufKind::kString:
      return fmt::format("\"{}\"", array.strings[i]);
    case GgufKind::kF32:
    case GgufKind::kF64:
      return fmt::format("{}", array.number(i));
    default:
      return fmt::format("{}", array.integer(i));
  }
}

std::string printable(const GgufValue& value) {
  struct Visitor {
    std::string operator()(int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(uint64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return fmt::format("{:.9g}", v); }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::string_view v) const { return std::string(v); }
    std::string operator()(const GgufArray& array) const {
      std::string out = "[";
      for (uint64_t i = 0; i < std::min(array.count, kShownElements); ++i) {
        if (i > 0) out += ", ";
        out += element(array, i);
      }
      return out + fmt::format("{}] ({})", array.count > kShownElements ? ", ..." : "", array.count);
    }
  };
  return std::visit(Visitor{}, value.value);
}

std::string type_name(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value.value))
    return fmt::format("array of {}", gguf_kind_name(array->kind));
  return std::string(gguf_kind_name(value.kind));
}

void read_memory(const GgufFile& file, ModelInfo& info) {
  Hyperparameters hp;
  try {
    hp = read_hyperparameters(file);
  } catch (const Error&) {
    return;  // `info` shows what cannot be loaded too
  }
  info.encoder = hp.encoder;
  if (hp.encoder) return;
  const KvLayout layout(hp.kv, 1);
  const auto bytes_of = [&](int window) { return static_cast<uint64_t>(layout.of_window(window).bytes_per_token()); };
  info.kv_bytes_per_token = bytes_of(0);
  for (const int window : layout.windows())
    info.kv_windows.push_back({2 * static_cast<uint64_t>(window), bytes_of(window)});
  for (const KvLayerShape& layer : hp.kv) info.state_bytes += static_cast<uint64_t>(layer.state_floats) * sizeof(float);
}

}  // namespace

uint64_t ModelInfo::kv_bytes(uint64_t tokens) const {
  uint64_t bytes = kv_bytes_per_token * tokens;
  for (const WindowMemory& window : kv_windows) bytes += window.bytes_per_token * std::min(tokens, window.tokens);
  return bytes;
}

ModelInfo inspect_model(const std::string& path) { return inspect(*GgufFile::open(path)); }

ModelInfo inspect(const GgufFile& file) {
  ModelInfo info;
  info.path = file.path();
  info.file_bytes = file.size();
  info.files = static_cast<int>(file.files());
  info.name = file.string("general.name", "");
  info.architecture = file.string("general.architecture", "");
  for (const auto& [key, value] : file.metadata())
    info.metadata.push_back({std::string(key), type_name(value), printable(value)});
  for (const GgufTensor& t : file.tensors()) {
    info.tensors.push_back(
        {std::string(t.name), std::string(t.type->name), {t.shape.begin(), t.shape.begin() + t.dims}, t.bytes});
    info.parameters += t.elements();
  }
  if (!info.architecture.empty()) {
    const Metadata metadata(file);
    const auto number = [&](const char* key) { return metadata.integer(key, 0, INT32_MAX, 0); };
    info.unused_blocks = number("nextn_predict_layers");
    info.layers = std::max(number("block_count") - info.unused_blocks, 0);
    info.width = number("embedding_length");
    info.context = number("context_length");
    read_memory(file, info);
  }
  if (const GgufTensor* embedding = file.find_tensor("token_embd.weight"))
    info.vocabulary = static_cast<int>(embedding->shape[1]);
  else if (const GgufArray* tokens = file.array("tokenizer.ggml.tokens"))
    info.vocabulary = static_cast<int>(tokens->count);
  if (std::string warning = pre_tokenizer_warning(file); !warning.empty()) info.warnings.push_back(std::move(warning));
  return info;
}

}  // namespace fieldprint
