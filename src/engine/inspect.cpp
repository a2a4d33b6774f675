#include "engine/inspect.h"

#include <fmt/format.h>

#include <algorithm>

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

}  // namespace

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
    // A cached key has an element for each row of attn_k, a value for each of attn_v, whatever the architecture; as
    // F16.
    if (t.name.ends_with(".attn_k.weight") || t.name.ends_with(".attn_v.weight"))
      info.kv_bytes_per_token += 2 * t.shape[1];
  }
  if (!info.architecture.empty()) {
    const Metadata metadata(file);
    const auto number = [&](const char* key) { return metadata.integer(key, 0, INT32_MAX, 0); };
    info.unused_blocks = number("nextn_predict_layers");
    info.layers = std::max(number("block_count") - info.unused_blocks, 0);
    info.width = number("embedding_length");
    info.context = number("context_length");
  }
  if (const GgufTensor* embedding = file.find_tensor("token_embd.weight"))
    info.vocabulary = static_cast<int>(embedding->shape[1]);
  else if (const GgufArray* tokens = file.array("tokenizer.ggml.tokens"))
    info.vocabulary = static_cast<int>(tokens->count);
  if (std::string warning = pre_tokenizer_warning(file); !warning.empty()) info.warnings.push_back(std::move(warning));
  return info;
}

}  // namespace fieldprint
