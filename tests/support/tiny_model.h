// A tiny `llama` model with seeded random weights and a byte-level vocabulary, as a GGUF file: for tests that want a
// model. The same shape and seed give the same bytes on every machine.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/float16.h"
#include "gguf/gguf.h"
#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"

namespace fieldprint {

struct TinyModelShape {
  int layers = 2;
  int width = 64;  // a multiple of 32 for the block types; so is ffn_width
  int heads = 4;
  int kv_heads = 2;
  int ffn_width = 96;
  int vocabulary = 288;      // at least 288: 256 bytes, merged and special tokens; the rest is unused tokens
  std::string type = "F32";  // of the matrices: F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1; norms are F32
  bool tied = true;          // the embedding is the output; else there is an output.weight
  int context = 4096;
  float rope_base = 10000.0f;
  float norm_epsilon = 1e-5f;
  std::string pre_tokenizer = "gpt-2";
  bool chat_template = true;  // ChatML
  unsigned seed = 1;
  std::function<void(GgufWriter&)> more = {};  // metadata on top
};

namespace tiny_model_detail {

// Weights of about the given standard deviation, uniform: in range -1.73 .. 1.73 times it.
class Weights {
 public:
  explicit Weights(unsigned seed) : random_(seed) {}

  float uniform(float low, float high) {  // not std::uniform_real_distribution, whose numbers differ between libraries
    return low + (high - low) * static_cast<float>(random_() >> 8) * 0x1p-24f;
  }

  std::vector<std::byte> matrix(const std::string& type, uint64_t elements, float deviation) {
    const float reach = deviation * 1.7320508f;
    const auto real = [&] { return uniform(-reach, reach); };
    // A block's scale: one that makes `levels` equally likely quants reach, some larger, some smaller.
    const auto scale = [&](int levels) { return uniform(0.7f, 1.3f) * 2.0f * reach / static_cast<float>(levels); };
    const auto sign = [&] { return (random_() & 1) != 0 ? 1.0f : -1.0f; };  // quants without a minimum lean to one side
    if (type == "F32") return blocks<float>(elements, [&](float& x) { x = real(); });
    if (type == "F16") return blocks<BlockF16>(elements, [&](BlockF16& x) { x.bits = float_to_half(real()); });
    if (type == "BF16") return blocks<BlockBF16>(elements, [&](BlockBF16& x) { x.bits = float_to_bfloat16(real()); });
    if (type == "Q8_0") {
      return blocks<BlockQ8_0>(elements / 32, [&](BlockQ8_0& x) { x.scale = float_to_half(sign() * scale(256)); });
    }
    if (type == "Q4_0") {
      return blocks<BlockQ4_0>(elements / 32, [&](BlockQ4_0& x) { x.scale = float_to_half(sign() * scale(16)); });
    }
    if (type == "Q5_0") {
      return blocks<BlockQ5_0>(elements / 32, [&](BlockQ5_0& x) { x.scale = float_to_half(sign() * scale(32)); });
    }
    if (type == "Q4_1") {
      return blocks<BlockQ4_1>(elements / 32, [&](BlockQ4_1& x) { centre(x, scale(16), 7.5f); });
    }
    if (type == "Q5_1") {
      return blocks<BlockQ5_1>(elements / 32, [&](BlockQ5_1& x) { centre(x, scale(32), 15.5f); });
    }
    throw std::invalid_argument("tiny_model: no random blocks of type " + type);
  }

 private:
  template <typename Block>
  static void centre(Block& block, float scale, float middle) {
    block.scale = float_to_half(scale);
    block.minimum = float_to_half(-scale * middle);
  }

  // `count` blocks of random bytes, in which `fix` then puts what must not be random.
  template <typename Block, typename Fix>
  std::vector<std::byte> blocks(uint64_t count, Fix fix) {
    std::vector<std::byte> bytes(count * sizeof(Block));
    for (uint64_t i = 0; i < count; ++i) {
      unsigned char raw[sizeof(Block)];
      for (unsigned char& byte : raw) byte = static_cast<unsigned char>(random_() >> 24);
      Block block;
      std::memcpy(&block, raw, sizeof(block));
      fix(block);
      std::memcpy(bytes.data() + i * sizeof(Block), &block, sizeof(block));
    }
    return bytes;
  }

  std::mt19937 random_;
};

// GPT-2's printable character for a byte: itself where it prints, else the next one from U+0100 on.
inline std::string byte_character(int byte) {
  int code = 0, next = 256;
  for (int i = 0; i <= byte; ++i) {
    const bool prints = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
    code = prints ? i : next++;
  }
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

inline void set_vocabulary(GgufWriter& writer, const TinyModelShape& shape) {
  constexpr int kNormal = 1, kControl = 3, kUnused = 5;
  std::vector<std::string> tokens, merges;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(byte_character(byte));
  const std::string space = byte_character(' ');
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"t", "h"},   {"th", "e"}, {space, "the"}, {"i", "n"},   {"in", "g"}, {"e", "r"}, {"o", "n"},
      {space, "a"}, {"an", "d"}, {"a", "n"},     {"r", "e"},   {"l", "l"},  {"o", "u"}, {space, "w"},
      {"e", "n"},   {"1", "2"},  {"e", "s"},     {space, "s"}, {"h", "e"},  {"o", "r"}};
  for (const auto& [left, right] : pairs) {
    merges.push_back(left + " " + right);
    tokens.push_back(left + right);
  }
  std::vector<int32_t> types(tokens.size(), kNormal);
  const auto special = [&](const std::string& name, int type) {
    tokens.push_back(name);
    types.push_back(type);
    return static_cast<uint32_t>(tokens.size() - 1);
  };
  const uint32_t bos = special("<|startoftext|>", kControl);
  const uint32_t pad = special("<|endoftext|>", kControl);
  special("<|im_start|>", kControl);
  const uint32_t eos = special("<|im_end|>", kControl);
  assert(shape.vocabulary >= static_cast<int>(tokens.size()));
  while (static_cast<int>(tokens.size()) < shape.vocabulary) {
    special("<|unused_" + std::to_string(tokens.size()) + "|>", kUnused);
  }
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", shape.pre_tokenizer);
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  writer.set("tokenizer.ggml.merges", merges);
  writer.set("tokenizer.ggml.bos_token_id", bos);
  writer.set("tokenizer.ggml.eos_token_id", eos);
  writer.set("tokenizer.ggml.padding_token_id", pad);
  writer.set("tokenizer.ggml.add_bos_token", false);
  if (shape.chat_template) {
    writer.set("tokenizer.chat_template",
               "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
               "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  }
}

}  // namespace tiny_model_detail

// Calls use(writer) with the model in it; the writer's data lives until that returns.
template <typename Use>
auto with_tiny_model(const TinyModelShape& shape, Use use) {
  assert(shape.width % shape.heads == 0 && shape.heads % shape.kv_heads == 0);
  const int head_width = shape.width / shape.heads;
  GgufWriter writer;
  const auto set = [&](const std::string& key, int value) { writer.set(key, static_cast<uint32_t>(value)); };
  writer.set("general.architecture", "llama");
  writer.set("general.name", "tiny random llama");
  set("llama.block_count", shape.layers);
  set("llama.context_length", shape.context);
  set("llama.embedding_length", shape.width);
  set("llama.feed_forward_length", shape.ffn_width);
  set("llama.attention.head_count", shape.heads);
  set("llama.attention.head_count_kv", shape.kv_heads);
  set("llama.rope.dimension_count", head_width);
  set("llama.vocab_size", shape.vocabulary);
  writer.set("llama.rope.freq_base", shape.rope_base);
  writer.set("llama.attention.layer_norm_rms_epsilon", shape.norm_epsilon);
  tiny_model_detail::set_vocabulary(writer, shape);
  set("general.quantization_version", 2);
  if (shape.more) shape.more(writer);

  tiny_model_detail::Weights weights(shape.seed);
  std::deque<std::vector<std::byte>> data;  // a deque: adding does not move what is there
  const auto matrix = [&](const std::string& name, int in, int out, float deviation) {
    const auto columns = static_cast<uint64_t>(in), rows = static_cast<uint64_t>(out);
    data.push_back(weights.matrix(shape.type, columns * rows, deviation));
    const QuantType* type = find_quant_type(std::string_view(shape.type));
    writer.add_tensor(name + ".weight", *type, {columns, rows}, data.back());
  };
  const auto linear = [&](const std::string& name, int in, int out) {
    matrix(name, in, out, 1.0f / std::sqrt(static_cast<float>(in)));
  };
  const auto norm = [&](const std::string& name) {
    std::vector<std::byte>& bytes = data.emplace_back(static_cast<size_t>(shape.width) * sizeof(float));
    for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
      const float value = weights.uniform(0.8f, 1.2f);
      std::memcpy(bytes.data() + at, &value, sizeof(value));
    }
    const QuantType* type = find_quant_type("F32");
    writer.add_tensor(name + ".weight", *type, {static_cast<uint64_t>(shape.width)}, bytes);
  };

  matrix("token_embd", shape.width, shape.vocabulary, 0.3f);
  norm("output_norm");
  if (!shape.tied) linear("output", shape.width, shape.vocabulary);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    norm(block + "attn_norm");
    linear(block + "attn_q", shape.width, shape.width);
    linear(block + "attn_k", shape.width, head_width * shape.kv_heads);
    linear(block + "attn_v", shape.width, head_width * shape.kv_heads);
    linear(block + "attn_output", shape.width, shape.width);
    norm(block + "ffn_norm");
    linear(block + "ffn_gate", shape.width, shape.ffn_width);
    linear(block + "ffn_up", shape.width, shape.ffn_width);
    linear(block + "ffn_down", shape.ffn_width, shape.width);
  }
  return use(static_cast<const GgufWriter&>(writer));
}

inline std::vector<std::byte> tiny_model_bytes(const TinyModelShape& shape = {}) {
  return with_tiny_model(shape, [](const GgufWriter& writer) { return writer.bytes(); });
}

// The model as a file of its own, gone with the object.
class TinyModelFile {
 public:
  explicit TinyModelFile(const TinyModelShape& shape = {}) {
    static std::atomic<int> counter{0};
    const std::string name =
        "fieldprint-tiny-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".gguf";
    path_ = std::filesystem::temp_directory_path() / name;
    with_tiny_model(shape, [&](const GgufWriter& writer) { writer.write(path_); });
  }
  ~TinyModelFile() { std::filesystem::remove(path_); }
  TinyModelFile(const TinyModelFile&) = delete;
  TinyModelFile& operator=(const TinyModelFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace fieldprint
