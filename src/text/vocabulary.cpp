#include "text/vocabulary.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>
#include <unordered_map>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using std::string_view;

// Files name few of the tokens that end a generation, and call some of them ordinary, so their texts are known here.
// What stands in either list is a control token, whatever its type in the file.
constexpr string_view kEndTexts[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>",
                                     "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>",
                                     "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
                                     "<turn|>", "<|tool_response>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", "[e~[",
                                     // Code models: padding, and the border to the next file or repository.
                                     "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>",
                                     "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};
constexpr string_view kControlTexts[] = {
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<\uFF5Cfim\u2581begin\uFF5C>",
    "<PRE>",          "\u2581<PRE>",  "<|code_prefix|>", "<|prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<\uFF5Cfim\u2581hole\uFF5C>",
    "<SUF>",          "\u2581<SUF>",  "<|code_suffix|>", "<|suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<\uFF5Cfim\u2581end\uFF5C>",
    "<MID>",          "\u2581<MID>",  "<|code_middle|>", "<|middle|>"};

// A name that ends the answers of one kind of model is another thing in models that also have the names beside it.
struct NotAnEnd {
  string_view text;
  string_view beside[2];
  TokenKind kind;
};
constexpr NotAnEnd kNotEnds[] = {
    {"<|end|>", {"<|return|>", "<|call|>"}, TokenKind::kUserDefined},
    {"<|end|>", {"<|flush|>", "<|calls|>"}, TokenKind::kUserDefined},
    {"</s>", {"<|tool_response>", "<|tool_response>"}, TokenKind::kNormal},
};

// An array with an entry for each token, or nullptr where there is none.
const GgufArray* per_token(const GgufFile& file, string_view key, size_t tokens) {
  const GgufArray* array = file.array(key);
  if (array == nullptr) return nullptr;
  if (array->count < tokens) {
    throw Error(ErrorKind::kBadFile,
                std::to_string(array->count) + " entries for " + std::to_string(tokens) + " tokens", std::string(key));
  }
  return array;
}

void read_kinds(const GgufFile& file, Vocabulary& v) {
  v.kinds.assign(v.texts.size(), TokenKind::kNormal);
  const GgufArray* array = per_token(file, "tokenizer.ggml.token_type", v.texts.size());
  if (array == nullptr) return;
  for (size_t i = 0; i < v.texts.size(); ++i) {
    const int64_t kind = array->integer(i);
    v.kinds[i] = kind >= 0 && kind <= 6 ? static_cast<TokenKind>(kind) : TokenKind::kUndefined;
  }
}

void read_scores(const GgufFile& file, Vocabulary& v) {
  constexpr string_view kKey = "tokenizer.ggml.scores";
  const GgufArray* array = per_token(file, kKey, v.texts.size());
  if (array == nullptr) return;
  v.scores.resize(v.texts.size());
  for (size_t i = 0; i < v.scores.size(); ++i) {
    const double score = array->number(i);
    if (!(std::abs(score) <= 3e38)) {
      throw Error(ErrorKind::kBadFile, "the score of token " + std::to_string(i) + " is no finite number",
                  std::string(kKey));
    }
    v.scores[i] = static_cast<float>(score);
  }
}

// Some files write "none" as -1, some as its 32 bits.
TokenId read_id(const GgufFile& file, string_view name, TokenId fallback, const Vocabulary& v,
                string_view fallback_text = {}) {
  const std::string key = "tokenizer.ggml." + std::string(name);
  if (file.find(key) == nullptr) {
    if (v.has(fallback) && (fallback_text.empty() || v.text(fallback) == fallback_text)) return fallback;
    if (fallback_text.empty()) return kNoToken;
    const auto found = std::find(v.texts.begin(), v.texts.end(), fallback_text);
    if (found != v.texts.end()) return static_cast<TokenId>(found - v.texts.begin());
    throw Error(ErrorKind::kBadFile,
                "the file does not say this id, and no token is called " + std::string(fallback_text), key);
  }
  const int64_t id = file.integer(key);
  if (id == -1 || id == UINT32_MAX) return kNoToken;
  if (id < 0 || id >= v.size()) {
    throw Error(ErrorKind::kBadFile, "token " + std::to_string(id) + " in a vocabulary of " + std::to_string(v.size()),
                key);
  }
  return static_cast<TokenId>(id);
}

// Ids under a key of our own (docs/formats/gguf.md), ascending.
std::vector<TokenId> read_ids(const GgufFile& file, std::string_view key, const Vocabulary& v) {
  std::vector<TokenId> ids;
  const GgufArray* array = file.array(key);
  for (uint64_t i = 0; array != nullptr && i < array->count; ++i) {
    const int64_t id = array->integer(i);
    if (id < 0 || id >= v.size()) {
      throw Error(ErrorKind::kBadFile,
                  "token " + std::to_string(id) + " in a vocabulary of " + std::to_string(v.size()), std::string(key));
    }
    ids.push_back(static_cast<TokenId>(id));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

void find_ends(const GgufFile& file, Vocabulary& v) {
  std::unordered_map<string_view, bool> known;  // text -> whether it ends a generation
  for (const string_view text : kEndTexts) known.emplace(text, true);
  for (const string_view text : kControlTexts) known.emplace(text, false);
  std::unordered_map<string_view, TokenId> met;
  for (TokenId id = 0; id < v.size(); ++id) {
    if (v.text(id).size() < 4 || v.text(id).size() > 32) continue;
    const auto found = known.find(v.text(id));
    if (found == known.end()) continue;
    v.kinds[static_cast<size_t>(id)] = TokenKind::kControl;
    met.emplace(v.text(id), id);
    if (found->second) v.ends.push_back(id);
  }
  v.ends.push_back(v.eos);
  v.ends.push_back(read_id(file, "eot_token_id", kNoToken, v));
  v.ends.push_back(read_id(file, "eom_token_id", kNoToken, v));
  std::erase(v.ends, kNoToken);
  for (const NotAnEnd& rule : kNotEnds) {
    const auto it = met.find(rule.text);
    if (it == met.end() || met.count(rule.beside[0]) == 0 || met.count(rule.beside[1]) == 0) continue;
    v.kinds[static_cast<size_t>(it->second)] = rule.kind;
    std::erase(v.ends, it->second);
  }
  const auto named = read_ids(file, "tokenizer.fieldprint.end_tokens", v);
  v.ends.insert(v.ends.end(), named.begin(), named.end());
  std::sort(v.ends.begin(), v.ends.end());
  v.ends.erase(std::unique(v.ends.begin(), v.ends.end()), v.ends.end());
}

// Which tokens swallow the white space beside them: no common key says it, so that models without ours are known by
// name.
void find_strips(const GgufFile& file, Vocabulary& v) {
  v.lstrips = read_ids(file, "tokenizer.fieldprint.lstrip_tokens", v);
  v.rstrips = read_ids(file, "tokenizer.fieldprint.rstrip_tokens", v);
  v.unicode_strips = !v.lstrips.empty() || !v.rstrips.empty();
  if (v.unicode_strips) return;
  std::string name(file.string("general.name", ""));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  constexpr string_view kPhi3[] = {"phi-3", "phi3"};
  const bool phi3 =
      std::any_of(std::begin(kPhi3), std::end(kPhi3), [&](auto one) { return name.find(one) != name.npos; });
  const bool masked = name.find("modern-bert") != name.npos ||
                      file.string("tokenizer.ggml.pre", "").find("jina-v2") != string_view::npos;
  for (TokenId id = 0; (phi3 || masked) && id < v.size(); ++id) {
    const string_view text = v.text(id);
    const bool special = v.kind(id) == TokenKind::kControl || v.kind(id) == TokenKind::kUserDefined;
    if (phi3 && special && text != "<unk>" && text != "<s>" && text != "<|endoftext|>") v.rstrips.push_back(id);
    if (masked && (text == "<mask>" || text == "[MASK]")) v.lstrips.push_back(id);
  }
}

}  // namespace

Vocabulary read_vocabulary(const GgufFile& file, const VocabularyDefaults& defaults) {
  Vocabulary v;
  const std::string key = "tokenizer.ggml.tokens";
  const GgufArray* tokens = file.array(key);
  if (tokens == nullptr) throw Error(ErrorKind::kBadFile, "the file has no vocabulary", key);
  if (tokens->kind != GgufKind::kString) throw Error(ErrorKind::kBadFile, "should be an array of strings", key);
  v.texts = tokens->strings;
  if (v.texts.empty() || v.texts.size() > INT32_MAX / 4) {
    throw Error(ErrorKind::kBadFile, std::to_string(v.texts.size()) + " tokens make no vocabulary", key);
  }
  read_kinds(file, v);
  read_scores(file, v);
  v.bos = read_id(file, defaults.bos_key, defaults.bos, v, defaults.bos_text);
  v.eos = read_id(file, defaults.eos_key, defaults.eos, v, defaults.eos_text);
  v.unknown = read_id(file, "unknown_token_id", defaults.unknown, v, defaults.unknown_text);
  v.add_bos = file.boolean("tokenizer.ggml.add_bos_token", defaults.add_bos) && v.bos != kNoToken;
  v.add_eos =
      file.boolean("tokenizer.ggml." + std::string(defaults.add_eos_key), defaults.add_eos) && v.eos != kNoToken;
  v.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix", defaults.add_space_prefix);
  find_ends(file, v);
  find_strips(file, v);
  v.late = read_ids(file, "tokenizer.fieldprint.late_tokens", v);
  return v;
}

int byte_token_value(string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    if (c >= '0' && c <= '9') {
      value = 16 * value + (c - '0');
    } else if (c >= 'A' && c <= 'F') {
      value = 16 * value + (c - 'A' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

}  // namespace fieldprint
