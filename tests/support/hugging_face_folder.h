// Writing a Hugging Face folder, for tests that convert one.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "text/pre_tokenizer.h"

namespace fieldprint {

struct HfTensor {
  std::string dtype;
  std::vector<uint64_t> shape;  // slowest first
  std::string data;
};
using HfTensors = std::map<std::string, HfTensor>;

inline void write_safetensors(const std::filesystem::path& path, const HfTensors& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
    data += tensor.data;
  }
  std::string text = header.dump();
  text += std::string(text.size() % 2 == 0 ? 1 : 2, ' ');  // an odd length, so that nothing is aligned
  const uint64_t length = text.size();
  std::ofstream(path, std::ios::binary) << std::string(reinterpret_cast<const char*>(&length), 8) << text << data;
}

inline void write_json(const std::filesystem::path& path, const nlohmann::json& value) {
  std::ofstream(path) << value.dump();
}

// tokenizer.json of the vocabulary of bytes that synth gives a model, and what stands beside it.
inline void write_tokenizer(const std::filesystem::path& folder, const GgufFile& file) {
  using nlohmann::json;
  json vocabulary = json::object(), added = json::array(), steps = json::array();
  const GgufArray &tokens = *file.array("tokenizer.ggml.tokens"), &types = *file.array("tokenizer.ggml.token_type");
  for (uint64_t i = 0; i < tokens.count; ++i) {
    if (types.integer(i) == 1) vocabulary[std::string(tokens.strings[i])] = i;
    if (types.integer(i) == 3) added.push_back({{"id", i}, {"content", tokens.strings[i]}, {"special", true}});
  }
  const PreTokenizerRow& row = find_pre_tokenizer(file.string("tokenizer.ggml.pre"));
  for (const std::string_view pattern : row.family->patterns)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  const auto name = [&](const char* key) {
    return std::string(
        tokens.strings[static_cast<size_t>(file.integer(std::string("tokenizer.ggml.") + key + "_token_id"))]);
  };
  const json first = {{"SpecialToken", {{"id", name("bos")}}}}, text = {{"Sequence", {{"id", "A"}}}};
  write_json(
      folder / "tokenizer.json",
      {{"model",
        {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}, {"ignore_merges", row.ignore_merges}}},
       {"added_tokens", added},
       {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
       {"post_processor", {{"type", "TemplateProcessing"}, {"single", json::array({first, text})}}}});
  write_json(folder / "tokenizer_config.json",
             {{"bos_token", name("bos")}, {"eos_token", name("eos")}, {"pad_token", name("padding")}});
  std::ofstream(folder / "chat_template.jinja") << file.string("tokenizer.chat_template");
}

}  // namespace fieldprint
