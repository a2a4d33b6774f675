#include "text/pre_tokenizer.h"

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using std::string_view;

// A pattern is read by its alternatives.
// clang-format off
#define GPT2_WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define ENGLISH_ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
// Runs of letters cut where a capital follows a small letter.
#define CAMEL_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define CAMEL_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

constexpr string_view kGpt2[] = {GPT2_WORDS};
constexpr string_view kSmollm[] = {"\\p{N}", GPT2_WORDS};
constexpr string_view kLlama3[] = {
    ENGLISH_ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES};
constexpr string_view kQwen2[] = {
    ENGLISH_ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES};
constexpr string_view kQwen35[] = {
    ENGLISH_ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES};
constexpr string_view kGpt4o[] = {
    "[^\\r\\n\\p{L}\\p{N}]?" CAMEL_UPPER "*" CAMEL_LOWER "+" ENGLISH_ENDINGS "?|"
    "[^\\r\\n\\p{L}\\p{N}]?" CAMEL_UPPER "+" CAMEL_LOWER "*" ENGLISH_ENDINGS "?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES};
constexpr string_view kTekken[] = {
    "[^\\r\\n\\p{L}\\p{N}]?" CAMEL_UPPER "*" CAMEL_LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" CAMEL_UPPER "+" CAMEL_LOWER "*|"
    "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES};
constexpr string_view kDeepseek3[] = {
    "\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES};
constexpr string_view kDeepseekCoder[] = {
    "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+", "\\p{N}"};
constexpr string_view kFalcon[] = {
    "[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2_WORDS, "[0-9][0-9][0-9]"};
constexpr string_view kDefault[] = {
    "[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_WORDS, "\\p{N}+", "[0-9][0-9][0-9]"};
// clang-format on

constexpr SplitFamily kGpt2Family{kGpt2, next_word_gpt2};
constexpr SplitFamily kSmollmFamily{kSmollm, next_word_gpt2_digits_apart};
constexpr SplitFamily kLlama3Family{kLlama3, next_word_llama3};
constexpr SplitFamily kQwen2Family{kQwen2, next_word_qwen2};
constexpr SplitFamily kQwen35Family{kQwen35, next_word_qwen35};
constexpr SplitFamily kGpt4oFamily{kGpt4o, nullptr};
constexpr SplitFamily kTekkenFamily{kTekken, nullptr};
constexpr SplitFamily kDeepseek3Family{kDeepseek3, nullptr};
constexpr SplitFamily kDeepseekCoderFamily{kDeepseekCoder, nullptr};
constexpr SplitFamily kFalconFamily{kFalcon, nullptr};
constexpr SplitFamily kDefaultFamily{kDefault, nullptr};

constexpr PreTokenizerRow kRows[] = {
    // name, family, ignore_merges, add_bos
    {"default", &kDefaultFamily, false, false},

    {"gpt-2", &kGpt2Family, false, false},
    {"phi-2", &kGpt2Family, false, false},
    {"gigachat", &kGpt2Family, false, false},
    {"a.x-4.0", &kGpt2Family, false, false},
    {"mellum", &kGpt2Family, false, false},
    {"mpt", &kGpt2Family, false, false},
    {"olmo", &kGpt2Family, false, false},
    {"jais", &kGpt2Family, false, false},
    {"trillion", &kGpt2Family, false, false},
    {"granite-docling", &kGpt2Family, false, false},
    {"exaone4", &kGpt2Family, false, false},

    {"smollm", &kSmollmFamily, false, false},
    {"starcoder", &kSmollmFamily, false, false},
    {"refact", &kSmollmFamily, false, false},
    {"command-r", &kSmollmFamily, false, false},
    {"codeshell", &kSmollmFamily, false, false},
    {"exaone", &kSmollmFamily, false, false},
    {"minerva-7b", &kSmollmFamily, false, false},
    {"mellum2", &kSmollmFamily, false, false},

    {"llama3", &kLlama3Family, true, true},
    {"llama-v3", &kLlama3Family, true, true},
    {"llama-bpe", &kLlama3Family, true, true},
    {"lfm2", &kLlama3Family, true, true},
    {"falcon3", &kLlama3Family, true, true},
    {"falcon-h1", &kLlama3Family, true, true},
    {"pixtral", &kLlama3Family, true, true},
    {"midm-2.0", &kLlama3Family, true, true},
    {"dbrx", &kLlama3Family, false, false},
    {"smaug-bpe", &kLlama3Family, false, false},
    {"chatglm-bpe", &kLlama3Family, false, false},
    {"glm4", &kLlama3Family, true, false},

    {"qwen2", &kQwen2Family, false, false},
    {"deepseek-r1-qwen", &kQwen2Family, false, false},
    {"stablelm2", &kQwen2Family, false, false},
    {"hunyuan", &kQwen2Family, false, false},
    {"megrez", &kQwen2Family, false, false},
    {"solar-open", &kQwen2Family, false, false},
    {"grok-2", &kQwen2Family, false, false},

    {"qwen35", &kQwen35Family, false, false},

    {"gpt-4o", &kGpt4oFamily, false, false},
    {"llama4", &kGpt4oFamily, false, false},
    {"tekken", &kTekkenFamily, true, true},
    {"deepseek-v3", &kDeepseek3Family, false, false},
    {"hunyuan-dense", &kDeepseek3Family, false, false},
    {"deepseek-coder", &kDeepseekCoderFamily, false, false},
    {"falcon", &kFalconFamily, false, false},
};

}  // namespace

std::span<const PreTokenizerRow> pre_tokenizers() { return kRows; }

const PreTokenizerRow& find_pre_tokenizer(string_view name) {
  if (name.empty()) name = "default";
  const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const auto& r) { return r.name == name; });
  if (row != std::end(kRows)) return *row;
  std::string known;
  for (const auto& r : kRows) known += (known.empty() ? "" : ", ") + std::string(r.name);
  throw Error(ErrorKind::kUnsupported, "the pre-tokenizer '" + std::string(name.substr(0, 100)) + "' is not supported",
              "tokenizer.ggml.pre", "known are: " + known);
}

PreTokenizer::PreTokenizer(const SplitFamily& family)
    : next_word_(family.next_word), regex_(family.next_word ? std::span<const string_view>() : family.patterns) {}

void PreTokenizer::split(string_view text, std::vector<size_t>& ends) const {
  if (next_word_ == nullptr) return regex_.split(text, ends);
  for (size_t at = 0; at < text.size();) {
    at = next_word_(text, at);
    ends.push_back(at);
  }
}

}  // namespace fieldprint
