#include "make/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "fieldprint/error.h"
#include "gguf/parse.h"
#include "make/json_file.h"
#include "make/wordpiece_tokenizer.h"
#include "text/pre_tokenizer.h"

namespace fieldprint {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5,
              kByte = 6;  // tokenizer.ggml.token_type

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<int32_t> lstrips, rstrips;  // added tokens that swallow the white space before them, after them
  std::vector<int32_t> early, late;       // added tokens that are looked for first, and in what is left of the text

  std::optional<uint32_t> id_of(const std::string& token) const {
    const auto found = std::find(tokens.begin(), tokens.end(), token);
    if (found == tokens.end()) return std::nullopt;
    return static_cast<uint32_t>(found - tokens.begin());
  }
};

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

bool flag_of(const json& object, const char* key, bool fallback) {
  const json* value = member(object, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : fallback;
}

// "special" is not set by all who mean it.
bool looks_special(std::string_view token) { return token.starts_with("<|") && token.ends_with("|>"); }

Vocabulary read_vocabulary(const JsonFile& file, int64_t size) {
  Vocabulary all;
  all.tokens.resize(static_cast<size_t>(size));
  all.types.assign(static_cast<size_t>(size), kUnused);
  const auto id_of = [&](const json* id, const std::string& token) {
    if (id == nullptr || !id->is_number_unsigned() || id->get<uint64_t>() >= all.tokens.size()) {
      file.refuse(fmt::format("token {} has no id below the vocabulary's {}", gguf_quoted(token), size));
    }
    return static_cast<size_t>(id->get<uint64_t>());
  };
  const json* vocabulary = file.find("model/vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) file.refuse("has no model.vocab");
  for (const auto& [token, id] : vocabulary->items()) {
    const size_t at = id_of(&id, token);
    if (all.types[at] != kUnused) file.refuse(fmt::format("two tokens have the id {}", at));
    all.tokens[at] = token;
    all.types[at] = kNormal;
  }
  if (const json* added = file.find("added_tokens"); added != nullptr && added->is_array()) {
    for (const json& one : *added) {
      const std::string token = text_of(one, "content");
      if (token.empty()) file.refuse("has an added token without content");
      const size_t at = id_of(member(one, "id"), token);
      all.tokens[at] = token;
      const bool special = flag_of(one, "special", false);
      all.types[at] = special || looks_special(token) ? kControl : kUserDefined;
      if (flag_of(one, "single_word", false)) {
        file.unsupported(fmt::format(
            "the added token {} is one only between words (single_word), which is not supported", gguf_quoted(token)));
      }
      const auto id = static_cast<int32_t>(at);
      if (flag_of(one, "lstrip", false)) all.lstrips.push_back(id);
      if (flag_of(one, "rstrip", false)) all.rstrips.push_back(id);
      // "normalized" tokens are looked for after the normaliser, which comes after the others. None changes the text
      // here.
      (flag_of(one, "normalized", !special) ? all.late : all.early).push_back(id);
    }
  }
  for (size_t i = 0; i < all.tokens.size(); ++i) {
    if (all.types[i] == kUnused) all.tokens[i] = fmt::format("[PAD{}]", i);
  }
  return all;
}

// "a b", or since 2024 ["a", "b"].
std::vector<std::string> read_merges(const JsonFile& file) {
  std::vector<std::string> all;
  const json* merges = file.find("model/merges");
  if (merges == nullptr || !merges->is_array()) file.refuse("has no model.merges");
  for (const json& merge : *merges) {
    if (merge.is_string()) {
      all.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      all.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      file.refuse(fmt::format("merge {} is no pair", all.size()));
    }
    if (std::count(all.back().begin(), all.back().end(), ' ') != 1)
      file.refuse(fmt::format("merge {} is no pair", all.size() - 1));
  }
  return all;
}

// What a pre-tokenizer's steps cut by, as the rows of text/pre_tokenizer.cpp have it.
void add_patterns(const JsonFile& file, const json& step, int depth, std::vector<std::string>& patterns) {
  const std::string type = text_of(step, "type");
  const auto refuse = [&](std::string_view how) {
    file.unsupported(fmt::format("a pre-tokenizer of type {}{} is not supported", gguf_quoted(type), how));
  };
  if (type == "Sequence" && depth < 4) {
    const json* steps = member(step, "pretokenizers");
    if (steps == nullptr || !steps->is_array()) file.refuse("has a sequence of pre-tokenizers without any");
    for (const json& one : *steps) add_patterns(file, one, depth + 1, patterns);
  } else if (type == "Split") {
    const json* pattern = member(step, "pattern");
    const std::string regex = pattern == nullptr ? "" : text_of(*pattern, "Regex"),
                      behavior = text_of(step, "behavior");
    // To keep what matches and to drop what lies between come to the same, since every byte matches.
    const bool inverted = flag_of(step, "invert", false);
    if (regex.empty()) refuse(" without a regular expression");
    if (!(behavior == "Isolated" && !inverted) && !(behavior == "Removed" && inverted))
      refuse(" with behavior " + behavior);
    patterns.push_back(regex);
  } else if (type == "Digits") {
    if (!flag_of(step, "individual_digits", false)) refuse(" that keeps digits together");
    patterns.emplace_back("\\p{N}");
  } else if (type == "ByteLevel") {
    if (flag_of(step, "add_prefix_space", true)) refuse(" that adds a space in front");
    if (flag_of(step, "use_regex", true)) patterns.emplace_back(find_pre_tokenizer("gpt-2").family->patterns[0]);
  } else {
    refuse("");
  }
}

// The name under which GGUF files know a way of cutting words: by the very patterns.
std::string pre_of(const JsonFile& file, std::string_view preferred) {
  const json* step = file.find("pre_tokenizer");
  if (step == nullptr) file.unsupported("a tokenizer without a pre-tokenizer is not supported");
  std::vector<std::string> patterns;
  add_patterns(file, *step, 0, patterns);
  const bool ignore_merges = file.boolean("model/ignore_merges", false);
  const auto fits = [&](const PreTokenizerRow& row) {
    const auto& known = row.family->patterns;
    return std::equal(known.begin(), known.end(), patterns.begin(), patterns.end());
  };
  if (!preferred.empty() && fits(find_pre_tokenizer(preferred))) return std::string(preferred);
  // Where several names mean the same, the one that everybody uses.
  for (const char* name : {"llama-bpe", "qwen2", "gpt-2", "smollm"}) {
    const PreTokenizerRow& row = find_pre_tokenizer(name);
    if (fits(row) && row.ignore_merges == ignore_merges) return name;
  }
  for (const PreTokenizerRow& row : pre_tokenizers()) {
    if (fits(row) && row.ignore_merges == ignore_merges) return std::string(row.name);
  }
  std::string seen;
  for (const std::string& pattern : patterns) seen += (seen.empty() ? "" : ", then ") + gguf_quoted(pattern);
  file.unsupported(fmt::format("words are cut by {}{}, which none of the known pre-tokenizers does", seen,
                               ignore_merges ? ", merges ignored for whole tokens" : ""));
}

// NFC is left out here as it is in other engines: texts come in it anyway.
void check_normalizer(const JsonFile& file, const json& step, int depth) {
  const std::string type = text_of(step, "type");
  const json* steps = member(step, "normalizers");
  if (type == "Sequence" && steps != nullptr && steps->is_array() && depth < 4) {
    for (const json& one : *steps) check_normalizer(file, one, depth + 1);
  } else if (type != "NFC") {
    file.unsupported(fmt::format("a normalizer of type {} is not supported", gguf_quoted(type)));
  }
}

void check_byte_level(const JsonFile& file) {
  if (const json* normalizer = file.find("normalizer"); normalizer != nullptr) check_normalizer(file, *normalizer, 0);
}

// ---- SentencePiece vocabularies (Llama 2, Mistral, Gemma): BPE over characters, spaces written U+2581, with a token
// for each byte that nothing else covers.

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// Whether texts get a space in front.
bool add_space_steps(const JsonFile& file, const json& step, int depth) {
  const std::string type = text_of(step, "type");
  const json* pattern = member(step, "pattern");
  const std::string what = pattern == nullptr ? "" : text_of(*pattern, "String");
  const json* steps =
      member(step, type == "Sequence" && step.contains("normalizers") ? "normalizers" : "pretokenizers");
  if (type == "Sequence" && steps != nullptr && steps->is_array() && depth < 4) {
    bool adds = false;
    for (const json& one : *steps) adds = add_space_steps(file, one, depth + 1) || adds;
    return adds;
  }
  if (type == "Prepend" && text_of(step, "prepend") == kSpaceMark) return true;
  if (type == "Replace" && what == " " && text_of(step, "content") == kSpaceMark) return false;
  if (type == "Split" && what == " ") return false;  // no spaces are left to cut at
  if (type == "Metaspace" && text_of(step, "replacement") == kSpaceMark) {
    const std::string scheme = text_of(step, "prepend_scheme");
    return scheme.empty() ? flag_of(step, "add_prefix_space", true) : scheme != "never";
  }
  file.unsupported(fmt::format("a step of type {} is not supported in a SentencePiece vocabulary", gguf_quoted(type)));
}

// GGUF files have scores in place of merges: of two pairs the one whose union has the higher score merges first. A
// union's score is the place of the first merge that makes it.
std::vector<float> scores_of(const std::vector<std::string>& merges, const Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) ids.emplace(vocabulary.tokens[id], id);
  const auto lowest = -static_cast<float>(merges.size()) - 1;
  std::vector<float> scores(vocabulary.tokens.size(), lowest);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    std::string made = merges[rank];
    made.erase(made.find(' '), 1);
    const auto found = ids.find(made);
    if (found != ids.end() && scores[found->second] == lowest) scores[found->second] = -static_cast<float>(rank);
  }
  return scores;
}

void set_sentencepiece(GgufWriter& writer, const JsonFile& file, Vocabulary& vocabulary) {
  bool space = false;
  for (const char* key : {"normalizer", "pre_tokenizer"}) {
    if (const json* step = file.find(key)) space = add_space_steps(file, *step, 0) || space;
  }
  const std::string unknown = file.string("model/unk_token", "");
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token == unknown) vocabulary.types[id] = kUnknown;
    if (token.size() == 6 && token.starts_with("<0x") && token.ends_with('>')) vocabulary.types[id] = kByte;
  }
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.scores", scores_of(read_merges(file), vocabulary));
  writer.set("tokenizer.ggml.add_space_prefix", space);
}

// "<s>", or {"content": "<s>", ...}.
std::string special_of(const JsonFile& config, const char* key) {
  const json* value = config.find(key);
  if (value == nullptr) return "";
  return value->is_string() ? value->get<std::string>() : text_of(*value, "content");
}

// Whether the post-processor puts `bos` in front; nothing where it does not say.
std::optional<bool> template_adds(const JsonFile& file, const std::string& bos) {
  const json* processor = file.find("post_processor");
  if (processor == nullptr) return std::nullopt;
  std::optional<bool> adds;
  const json* sequence = member(*processor, "processors");
  const json alone = json::array({*processor});
  for (const json& one : sequence != nullptr && sequence->is_array() ? *sequence : alone) {
    const std::string type = text_of(one, "type");
    if (type == "ByteLevel" && !adds) adds = false;
    const json* single = member(one, "single");
    if (type != "TemplateProcessing" || single == nullptr || !single->is_array() || single->empty()) continue;
    const json* first = member((*single)[0], "SpecialToken");
    adds = first != nullptr && !bos.empty() && text_of(*first, "id") == bos;
  }
  return adds;
}

// Ids of a number or a list of them.
std::vector<uint32_t> ids_of(const JsonFile& file, const char* key, size_t size) {
  std::vector<uint32_t> all;
  const json* value = file.find(key);
  if (value == nullptr) return all;
  const json alone = json::array({*value});
  for (const json& id : value->is_array() ? *value : alone) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= size) file.refuse(fmt::format("{} is no token", key));
    all.push_back(id.get<uint32_t>());
  }
  return all;
}

void set_special_tokens(GgufWriter& writer, const fs::path& folder, const JsonFile& file, const JsonFile& config,
                        const Vocabulary& vocabulary) {
  const JsonFile model((folder / "config.json").string());
  const JsonFile generation = JsonFile::if_there((folder / "generation_config.json").string());
  const auto id_of = [&](const char* token_key, const char* id_key) -> std::optional<uint32_t> {
    if (const std::string token = special_of(config, token_key); !token.empty()) {
      const auto id = vocabulary.id_of(token);
      if (!id) config.refuse(fmt::format("{} is {}, which is no token", token_key, gguf_quoted(token)));
      return id;
    }
    const auto ids = ids_of(model, id_key, vocabulary.tokens.size());
    return ids.empty() ? std::nullopt : std::optional(ids.front());
  };
  const auto set = [&](const char* name, const std::optional<uint32_t>& id) {
    if (id) writer.set(fmt::format("tokenizer.ggml.{}_token_id", name), *id);
  };
  const auto bos = id_of("bos_token", "bos_token_id"), eos = id_of("eos_token", "eos_token_id");
  set("bos", bos);
  set("eos", eos);
  set("padding", id_of("pad_token", "pad_token_id"));
  set("unknown", id_of("unk_token", "unk_token_id"));
  // Whatever else ends an answer.
  auto ends = ids_of(generation, "eos_token_id", vocabulary.tokens.size());
  if (ends.empty()) ends = ids_of(model, "eos_token_id", vocabulary.tokens.size());
  std::erase_if(ends, [&](uint32_t id) { return eos && id == *eos; });
  if (!ends.empty()) set("eot", ends[0]);
  if (ends.size() > 1) set("eom", ends[1]);
  if (ends.size() > 2) {  // there are no common keys for more
    writer.set("tokenizer.fieldprint.end_tokens", std::vector<int32_t>(ends.begin(), ends.end()));
  }

  const std::string bos_text = bos ? vocabulary.tokens[*bos] : "";
  const bool adds = template_adds(file, bos_text).value_or(config.boolean("add_bos_token", false));
  writer.set("tokenizer.ggml.add_bos_token", adds && bos.has_value());
}

void set_template(GgufWriter& writer, const fs::path& folder, const JsonFile& config) {
  std::error_code error;
  if (const fs::path path = folder / "chat_template.jinja"; fs::exists(path, error)) {
    const MappedFile file(path.string());
    writer.set("tokenizer.chat_template",
               std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()));
    return;
  }
  const json* value = config.find("chat_template");
  if (value == nullptr) return;
  if (value->is_string()) return writer.set("tokenizer.chat_template", value->get<std::string>());
  if (!value->is_array()) config.refuse("chat_template should be a string, or a list of named ones");
  for (const json& one : *value) {
    if (text_of(one, "name") == "default") writer.set("tokenizer.chat_template", text_of(one, "template"));
  }
}

}  // namespace

void set_tokenizer(GgufWriter& writer, const std::string& folder, std::string_view preferred, int64_t size) {
  const fs::path path(folder);
  if (set_wordpiece_tokenizer(writer, folder, size)) return;
  const JsonFile file((path / "tokenizer.json").string());
  const JsonFile config = JsonFile::if_there((path / "tokenizer_config.json").string());
  if (const std::string type = file.string("model/type", "BPE"); type != "BPE")
    file.unsupported(fmt::format("a tokenizer of type {} is not supported, BPE is", gguf_quoted(type)));
  Vocabulary vocabulary = read_vocabulary(file, size);
  if (file.boolean("model/byte_fallback", false)) {
    set_sentencepiece(writer, file, vocabulary);
  } else {
    check_byte_level(file);
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", pre_of(file, preferred));
    writer.set("tokenizer.ggml.merges", read_merges(file));
  }
  writer.set("tokenizer.ggml.tokens", vocabulary.tokens);
  writer.set("tokenizer.ggml.token_type", vocabulary.types);
  const auto set_ids = [&](const char* key, const std::vector<int32_t>& ids) {
    if (!ids.empty()) writer.set(std::string("tokenizer.fieldprint.") + key, ids);
  };
  set_ids("lstrip_tokens", vocabulary.lstrips);
  set_ids("rstrip_tokens", vocabulary.rstrips);
  if (!vocabulary.early.empty()) set_ids("late_tokens", vocabulary.late);
  set_special_tokens(writer, path, file, config, vocabulary);
  set_template(writer, path, config);
}

}  // namespace fieldprint
