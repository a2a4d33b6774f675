// Encoding and decoding speed: FIELDPRINT_BENCH_MODEL=model.gguf FIELDPRINT_BENCH_TEXT=text.txt tokenizer_bench
// (or --model FILE and --text FILE before Google Benchmark's own flags).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "fieldprint/error.h"
#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "text/load_tokenizer.h"

namespace {

using namespace fieldprint;

struct Input {
  std::shared_ptr<const GgufFile> file;
  std::unique_ptr<Tokenizer> tokenizer;
  std::string text;
};

void load(benchmark::State& state, const Input& input) {
  for (auto _ : state) benchmark::DoNotOptimize(load_tokenizer(*input.file));
}

void encode(benchmark::State& state, const Input& input) {
  size_t tokens = 0;
  for (auto _ : state) tokens = input.tokenizer->encode(input.text).size();
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * input.text.size()));
  state.counters["tokens"] = static_cast<double>(tokens);
}

void decode(benchmark::State& state, const Input& input) {
  const auto ids = input.tokenizer->encode(input.text);
  for (auto _ : state) benchmark::DoNotOptimize(input.tokenizer->decode(ids));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * input.text.size()));
}

// The slowest text there is: one word that only merging can cut.
void encode_one_letter(benchmark::State& state, const Input& input) {
  const std::string text(1 << 20, 'a');
  for (auto _ : state) benchmark::DoNotOptimize(input.tokenizer->encode(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

std::string setting(int& argc, char** argv, const std::string& flag, const char* variable) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (flag != argv[i]) continue;
    const std::string value = argv[i + 1];
    for (int j = i; j + 2 < argc; ++j) argv[j] = argv[j + 2];
    argc -= 2;
    return value;
  }
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string model = setting(argc, argv, "--model", "FIELDPRINT_BENCH_MODEL");
  const std::string text = setting(argc, argv, "--text", "FIELDPRINT_BENCH_TEXT");
  if (model.empty()) {
    std::cerr << "name a model: --model FILE or FIELDPRINT_BENCH_MODEL (any GGUF with a vocabulary)\n";
    return 2;
  }
  Input input;
  input.file = GgufFile::open(model);
  input.tokenizer = load_tokenizer(*input.file);
  std::ifstream stream(text, std::ios::binary);
  input.text.assign(std::istreambuf_iterator<char>(stream), {});
  while (input.text.size() < (1 << 20))
    input.text += "In 2024, it's said, 1,234 people wrote text like this for measuring. ";
  benchmark::RegisterBenchmark("load", load, std::cref(input))->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("encode", encode, std::cref(input))->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("decode", decode, std::cref(input))->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("encode_one_letter", encode_one_letter, std::cref(input))->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
} catch (const fieldprint::Error& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
