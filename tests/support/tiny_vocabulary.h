// Small vocabularies of every kind, as GGUF bytes: for tests and the fuzzer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "text/byte_level.h"
#include "text/load_tokenizer.h"

namespace fieldprint {

// What a vocabulary file says; change a field, then make the file.
struct TinyVocabulary {
  std::string model;
  std::string pre;  // left out where empty
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;
  std::vector<float> scores;
  std::vector<std::string> merges;
  std::vector<std::pair<std::string, int32_t>> ids;  // "bos_token_id" ...
  std::vector<std::pair<std::string, bool>> flags;   // "add_bos_token" ...
  std::string name;                                  // general.name

  int32_t add(std::string token, int32_t kind, float score = 0) {
    tokens.push_back(std::move(token));
    kinds.push_back(kind);
    scores.push_back(score);
    return static_cast<int32_t>(tokens.size()) - 1;
  }

  std::vector<std::byte> bytes() const {
    GgufWriter writer;
    const std::string prefix = "tokenizer.ggml.";
    writer.set(prefix + "model", std::string_view(model));
    if (!pre.empty()) writer.set(prefix + "pre", std::string_view(pre));
    if (!name.empty()) writer.set("general.name", std::string_view(name));
    writer.set(prefix + "tokens", tokens);
    if (!kinds.empty()) writer.set(prefix + "token_type", kinds);
    if (model != "gpt2" && !scores.empty()) writer.set(prefix + "scores", scores);
    if (model == "gpt2") writer.set(prefix + "merges", merges);
    for (const auto& [key, id] : ids) writer.set(prefix + key, static_cast<uint32_t>(id));
    for (const auto& [key, flag] : flags) writer.set(prefix + key, flag);
    return writer.bytes();
  }

  std::unique_ptr<Tokenizer> load() const {
    const auto file = bytes();
    return load_tokenizer(*GgufFile::parse(file, "tiny"));
  }
};

// Token kinds as files number them.
inline constexpr int32_t kTinyNormal = 1, kTinyUnknown = 2, kTinyControl = 3, kTinyUserDefined = 4, kTinyByte = 6;

// All 256 bytes, merges for a few words and for runs of letters, digits and spaces, specials at the end.
inline TinyVocabulary tiny_byte_level(std::string pre) {
  TinyVocabulary v;
  v.model = "gpt2";
  v.pre = std::move(pre);
  for (int byte = 0; byte < 256; ++byte) v.add(bytes_to_alphabet(std::string(1, static_cast<char>(byte))), kTinyNormal);
  const auto merge = [&](std::string_view left, std::string_view right) {
    v.merges.push_back(bytes_to_alphabet(left) + " " + bytes_to_alphabet(right));
    v.add(bytes_to_alphabet(std::string(left) + std::string(right)), kTinyNormal);
  };
  const std::pair<const char*, const char*> merges[] = {
      {"h", "e"},     {"l", "l"},           {" ", "w"},       {"he", "ll"}, {"o", "r"},   {" w", "or"},
      {"hell", "o"},  {"l", "d"},           {"a", "a"},       {"aa", "aa"}, {"a", "b"},   {" ", " "},
      {"  ", "  "},   {"1", "2"},           {"0", "0"},       {"e", "l"},   {"\n", "\n"}, {"\xC3", "\xA9"},
      {" wor", "ld"}, {"\xF0\x9F", "\x98"}, {"\xF0", "\x9F"}, {"'", "s"},   {"aaaa", "b"}};
  for (const auto& [left, right] : merges) merge(left, right);
  v.ids = {{"bos_token_id", v.add("<s>", kTinyControl)}, {"eos_token_id", v.add("<|im_end|>", kTinyControl)}};
  v.add("<|im_start|>", kTinyControl);
  v.add("<tool>", kTinyUserDefined);
  v.add("<tool>>", kTinyUserDefined);
  return v;
}

// Llama's kind: byte fallback, a space before the text, a few words.
inline TinyVocabulary tiny_sentencepiece() {
  TinyVocabulary v;
  v.model = "llama";
  v.add("<unk>", kTinyUnknown);
  v.add("<s>", kTinyControl);
  v.add("</s>", kTinyControl);
  for (int byte = 0; byte < 256; ++byte) {
    const char* hex = "0123456789ABCDEF";
    v.add(std::string("<0x") + hex[byte >> 4] + hex[byte & 15] + ">", kTinyByte);
  }
  float score = 0;
  for (const char* token :
       {"\u2581h", "el", "\u2581hel", "lo", "\u2581hello", "\u2581w", "or", "\u2581wor", "ld", "\u2581world", "aa",
        "aaaa", "ab", "\u2581\u2581", "\u2581\u2581\u2581\u2581", "\u00E9a", "<s"}) {
    v.add(token, kTinyNormal, score -= 1);
  }
  for (const char* token :
       {"\u2581", "h", "e", "l", "o", "w", "r", "d", "a", "b", "s", "<", ">", "\n", "\u00E9", "1"}) {
    v.add(token, kTinyNormal, score -= 1);
  }
  v.add("<tool>", kTinyUserDefined);
  return v;
}

// T5's kind.
inline TinyVocabulary tiny_unigram() {
  TinyVocabulary v;
  v.model = "t5";
  v.add("<pad>", kTinyControl);
  v.add("</s>", kTinyControl);
  v.add("<unk>", kTinyUnknown);
  const std::pair<const char*, float> tokens[] = {
      {"\u2581hello", -5.0f}, {"\u2581", -2.0f}, {"hell", -4.5f}, {"h", -6.0f},         {"e", -5.5f},
      {"l", -5.25f},          {"ll", -5.75f},    {"o", -5.0f},    {"\u2581wor", -6.5f}, {"ld", -6.0f},
      {"w", -7.0f},           {"r", -7.25f},     {"d", -7.5f},    {"aa", -8.0f},        {"a", -4.25f},
      {"aaa", -11.5f},        {"\u00E9", -9.0f}, {"lo", -5.5f}};
  for (const auto& [token, score] : tokens) v.add(token, kTinyNormal, score);
  v.add("<extra>", kTinyUserDefined);
  v.flags = {{"add_space_prefix", true}};
  return v;
}

}  // namespace fieldprint
