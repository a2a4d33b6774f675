// What grammars cost: FIELDPRINT_BENCH_MODEL=model.gguf grammar_bench (or --model FILE before Google Benchmark's flags;
// any GGUF with a vocabulary). `vocabulary`: once a model; `make`: once a grammar; `first_answer`: masks of a random
// answer, a token, where nothing is known yet; `answers`: where other answers have been there before.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fieldprint/error.h"
#include "fieldprint/grammar_mask.h"

namespace {

using namespace fieldprint;

struct Subject {
  const char* name;
  GrammarPtr (*make)();
};

constexpr const char* kInvoice =
    R"({"type":"object","properties":{"id":{"type":"string","format":"uuid"},"customer":{"type":
"object","properties":{"name":{"type":"string","maxLength":60},"email":{"type":"string","format":"email"}},"required":["name",
"email"],"additionalProperties":false},"lines":{"type":"array","minItems":1,"maxItems":20,"items":{"type":"object","properties":{
"text":{"type":"string"},"count":{"type":"integer","minimum":1,"maximum":999},"price":{"type":"number","minimum":0},"unit":{"enum":
["piece","hour","kg"]}},"required":["text","count","price"],"additionalProperties":false}}},"required":["id","customer","lines"],
"additionalProperties":false})";

constexpr const char* kArithmetic = R"gbnf(
root ::= (expr "=" [0-9]+ "\n"){1,20}
expr ::= term ([-+*/] term)*
term ::= [0-9]{1,9} | [a-z] [a-z0-9_]* | "(" expr ")"
)gbnf";

const Subject kSubjects[] = {
    {"json_object", [] { return Grammar::json_object(); }},
    {"schema_invoice", [] { return Grammar::from_json_schema(kInvoice); }},
    {"schema_strings",
     [] { return Grammar::from_json_schema(R"({"type":"array","items":{"type":"string","maxLength":200}})"); }},
    {"gbnf_arithmetic", [] { return Grammar::from_gbnf(kArithmetic); }},
    {"regex_words", [] { return Grammar::from_regex("([A-Z][a-z]{1,14}[,;]? ?){5,200}\\."); }},
    {"tool_calls", [] {
       const std::pair<std::string, GrammarPtr> call[] = {{"<tool_call>", Grammar::from_json_schema(kInvoice)}};
       return Grammar::with_triggers(call);
     }}};

// A random answer of at most `tokens`, of tokens that a model would write: short ones are likelier. Returns its length.
size_t answer(TokenMask& mask, const Tokenizer& tokenizer, std::mt19937& random, size_t tokens,
              benchmark::State* timed) {
  std::vector<TokenId> answer, may;
  TokenSet allowed(tokenizer.size());
  while (answer.size() < tokens) {
    if (timed != nullptr) timed->ResumeTiming();
    allowed.clear();
    mask.allow(answer, allowed);
    if (timed != nullptr) timed->PauseTiming();
    may.clear();
    for (TokenId t = 0; t < tokenizer.size(); ++t)
      if (allowed.contains(t)) may.push_back(t);
    if (may.empty()) break;
    const TokenId token = may[random() % may.size()];
    if (tokenizer.ends_generation(token)) break;
    answer.push_back(token);
  }
  return answer.size() + 1;
}

void make_vocabulary(benchmark::State& state, const Tokenizer& tokenizer) {
  for (auto _ : state) benchmark::DoNotOptimize(std::make_shared<const GrammarVocabulary>(tokenizer));
}

void make(benchmark::State& state, const Subject& subject) {
  for (auto _ : state) benchmark::DoNotOptimize(subject.make());
}

// Of each token, in the mean over answers of 100.
void masks(benchmark::State& state, const Subject& subject, const Tokenizer& tokenizer, bool fresh) {
  const auto vocabulary = std::make_shared<const GrammarVocabulary>(tokenizer);
  std::mt19937 random(1);
  GrammarPtr grammar = subject.make();
  if (!fresh)
    for (int i = 0; i < 30; ++i) answer(*grammar_mask(grammar, vocabulary)(), tokenizer, random, 100, nullptr);
  size_t tokens = 0;
  for (auto _ : state) {
    state.PauseTiming();
    if (fresh) grammar = subject.make();
    tokens += answer(*grammar_mask(grammar, vocabulary)(), tokenizer, random, 100, &state);
    state.ResumeTiming();
  }
  state.counters["per_token"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

}  // namespace

int main(int argc, char** argv) try {
  std::string path;
  if (const char* given = std::getenv("FIELDPRINT_BENCH_MODEL")) path = given;
  if (argc > 2 && std::string(argv[1]) == "--model") {
    path = argv[2];
    argv[2] = argv[0];
    argv += 2, argc -= 2;
  }
  if (path.empty()) {
    std::cerr << "name a model: --model FILE or FIELDPRINT_BENCH_MODEL (any GGUF with a vocabulary)\n";
    return 2;
  }
  const auto tokenizer = load_tokenizer(path);
  benchmark::RegisterBenchmark("vocabulary", make_vocabulary, std::cref(*tokenizer))->Unit(benchmark::kMillisecond);
  for (const Subject& subject : kSubjects) {
    const std::string name = subject.name;
    benchmark::RegisterBenchmark(("make/" + name).c_str(), make, subject)->Unit(benchmark::kMillisecond);
    for (const bool fresh : {true, false})
      benchmark::RegisterBenchmark(((fresh ? "first_answer/" : "answers/") + name).c_str(), masks, subject,
                                   std::cref(*tokenizer), fresh)
          ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
} catch (const fieldprint::Error& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
