#include "make/wordpiece_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/mapped_file.h"
#include "fieldprint/error.h"
#include "gguf/parse.h"
#include "make/json_file.h"

namespace fieldprint {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kNormal = 1, kControl = 3, kUnused = 5;  // tokenizer.ggml.token_type
constexpr std::string_view kContinues = "##", kWordStart = "\xE2\x96\x81";

// The names that specials have where no file says otherwise.
struct Special {
  const char* in_config;  // tokenizer_config.json, special_tokens_map.json
  const char* usual;
  const char* key;  // tokenizer.ggml.KEY_token_id; GGUF has "seperator" so
};
constexpr Special kSpecials[] = {{"cls_token", "[CLS]", "cls"},
                                 {"sep_token", "[SEP]", "seperator"},
                                 {"unk_token", "[UNK]", "unknown"},
                                 {"pad_token", "[PAD]", "padding"},
                                 {"mask_token", "[MASK]", "mask"}};

struct Pieces {
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  bool lower_case = true;
  std::optional<bool> strip_accents;  // absent: where letters are made small

  explicit Pieces(int64_t size) : texts(static_cast<size_t>(size)), types(static_cast<size_t>(size), kUnused) {}

  void put(const JsonFile& file, size_t id, const std::string& text, int type) {
    if (id >= texts.size()) {
      file.refuse(fmt::format("token {} has no id below the vocabulary's {}", gguf_quoted(text), texts.size()));
    }
    texts[id] = text;
    types[id] = type;
  }
};

// What the files must say where they say anything: GGUF has no key for it.
void expect(const JsonFile& file, const char* key, bool as_expected) {
  if (!as_expected) file.unsupported(fmt::format("{} is other than BERT's, which is not supported", key));
}

void read_json(const JsonFile& file, Pieces& pieces) {
  expect(file, "model/continuing_subword_prefix",
         file.string("model/continuing_subword_prefix", kContinues) == kContinues);
  expect(file, "model/max_input_chars_per_word",
         file.integer("model/max_input_chars_per_word", 1, 1 << 30, 100) == 100);
  expect(file, "normalizer/type", file.string("normalizer/type", "") == "BertNormalizer");
  expect(file, "normalizer/clean_text", file.boolean("normalizer/clean_text", true));
  expect(file, "normalizer/handle_chinese_chars", file.boolean("normalizer/handle_chinese_chars", true));
  expect(file, "pre_tokenizer/type", file.string("pre_tokenizer/type", "") == "BertPreTokenizer");
  const std::string processor = file.string("post_processor/type", "BertProcessing");
  expect(file, "post_processor/type", processor == "BertProcessing" || processor == "TemplateProcessing");
  pieces.lower_case = file.boolean("normalizer/lowercase", true);
  if (file.has("normalizer/strip_accents")) pieces.strip_accents = file.boolean("normalizer/strip_accents", true);
  const json* vocabulary = file.find("model/vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) file.refuse("has no model.vocab");
  const auto id_of = [&](const json& id) {
    return id.is_number_unsigned() ? static_cast<size_t>(id.get<uint64_t>()) : SIZE_MAX;
  };
  for (const auto& [text, id] : vocabulary->items()) pieces.put(file, id_of(id), text, kNormal);
  if (const json* added = file.find("added_tokens"); added != nullptr && added->is_array()) {
    for (const json& one : *added) {
      if (!one.is_object() || !one.contains("content") || !one["content"].is_string() || !one.contains("id"))
        file.refuse("has an added token without content or id");
      pieces.put(file, id_of(one["id"]), one["content"].get<std::string>(), kControl);
    }
  }
}

// A token a line.
void read_lines(const fs::path& path, const JsonFile& config, Pieces& pieces) {
  const MappedFile file(path.string());
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  for (size_t id = 0; !rest.empty(); ++id) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    pieces.put(config, id, std::string(line), kNormal);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  pieces.lower_case = config.boolean("do_lower_case", true);
  if (config.has("strip_accents")) pieces.strip_accents = config.boolean("strip_accents", true);
  expect(config, "tokenize_chinese_chars", config.boolean("tokenize_chinese_chars", true));
}

// "[CLS]", or {"content": "[CLS]", ...}.
std::string special_of(const JsonFile& config, const Special& special) {
  const json* value = config.find(special.in_config);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  if (value != nullptr && value->is_object() && value->contains("content") && (*value)["content"].is_string())
    return (*value)["content"].get<std::string>();
  return special.usual;
}

}  // namespace

bool set_wordpiece_tokenizer(GgufWriter& writer, const std::string& folder, int64_t size) {
  const fs::path path(folder);
  std::error_code error;
  const JsonFile config = JsonFile::if_there((path / "tokenizer_config.json").string());
  Pieces pieces(size);
  if (fs::exists(path / "tokenizer.json", error)) {
    const JsonFile file((path / "tokenizer.json").string());
    if (file.string("model/type", "") != "WordPiece") return false;
    read_json(file, pieces);
  } else if (fs::exists(path / "vocab.txt", error)) {
    read_lines(path / "vocab.txt", config, pieces);
  } else {
    return false;
  }
  const auto set_id = [&](const char* key, size_t id) {
    writer.set(fmt::format("tokenizer.ggml.{}_token_id", key), static_cast<uint32_t>(id));
  };
  for (const Special& special : kSpecials) {
    const std::string text = special_of(config, special);
    const auto found = std::find(pieces.texts.begin(), pieces.texts.end(), text);
    if (found == pieces.texts.end()) {
      if (&special <= &kSpecials[2])
        throw Error(ErrorKind::kBadFile, fmt::format("the vocabulary has no {}", gguf_quoted(text)), folder);
      continue;
    }
    const auto id = static_cast<size_t>(found - pieces.texts.begin());
    pieces.types[id] = kControl;
    set_id(special.key, id);
    if (&special == &kSpecials[0]) set_id("bos", id);
    if (&special == &kSpecials[1]) set_id("eos", id);
  }
  for (size_t id = 0; id < pieces.texts.size(); ++id) {
    std::string& text = pieces.texts[id];
    if (pieces.types[id] == kUnused) text = fmt::format("[PAD{}]", id);
    if (pieces.types[id] != kNormal) continue;
    text = text.starts_with(kContinues) ? text.substr(kContinues.size()) : std::string(kWordStart) + text;
  }
  writer.set("tokenizer.ggml.model", "bert");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.tokens", std::move(pieces.texts));
  writer.set("tokenizer.ggml.token_type", std::move(pieces.types));
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.ggml.add_sep_token", true);
  // Small letters without accents are what readers take it for where nothing is said.
  const bool strip = pieces.strip_accents.value_or(pieces.lower_case);
  if (!pieces.lower_case) writer.set("tokenizer.ggml.normalizer.lowercase", false);
  if (strip != pieces.lower_case) writer.set("tokenizer.ggml.normalizer.strip_accents", strip);
  return true;
}

}  // namespace fieldprint
