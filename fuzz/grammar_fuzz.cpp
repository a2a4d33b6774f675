// Input: a letter for the language (g: GBNF, j: JSON schema, r: regular expression), the grammar, a zero byte, choices.
// Whatever they are, making the grammar and following an answer end soon, with masks or an Error; every token that a
// mask allows keeps the answer going, and an answer that may end matches.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../tests/support/tiny_vocabulary.h"
#include "fieldprint/error.h"
#include "fieldprint/grammar_mask.h"
#include "fieldprint/json.h"

namespace {

using namespace fieldprint;

struct Vocabulary {
  std::unique_ptr<Tokenizer> tokenizer = tiny_byte_level("gpt-2").load();
  GrammarVocabularyPtr grammar = std::make_shared<const GrammarVocabulary>(*tokenizer);
};

void require(bool condition) {
  if (!condition) std::abort();
}

GrammarPtr made(char language, std::string_view text) {
  if (language == 'g') return Grammar::from_gbnf(text);
  if (language == 'j') return Grammar::from_json_schema(text);
  return Grammar::from_regex(text);
}

bool is_json(const std::string& text) {
  try {
    check_json(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Vocabulary vocabulary;
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(input.find('\0'), size);
  const std::string_view choices = zero < size ? input.substr(zero + 1) : "";
  try {
    const GrammarPtr grammar = made(input[0], input.substr(1, zero - 1));
    const auto mask = grammar_mask(grammar, vocabulary.grammar)();
    TokenSet allowed(vocabulary.tokenizer->size());
    std::vector<TokenId> answer;
    for (const char choice : choices.substr(0, 200)) {
      allowed.clear();
      mask->allow(answer, allowed);
      std::vector<TokenId> tokens;
      for (TokenId t = 0; t < allowed.vocabulary(); ++t)
        if (allowed.contains(t)) tokens.push_back(t);
      require(!tokens.empty());
      const TokenId token = tokens[static_cast<uint8_t>(choice) % tokens.size()];
      if (vocabulary.tokenizer->ends_generation(token)) {
        const std::string text = vocabulary.tokenizer->decode(answer, true);
        if (input[0] != 'g') require(grammar->matches(text));
        if (input[0] == 'j') require(is_json(text));
        break;
      }
      answer.push_back(token);
    }
  } catch (const Error&) {
  }
  return 0;
}
