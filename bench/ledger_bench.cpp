// The ledger: hashing, commits, proofs and starts. The last two on a ledger of $LEDGER_BENCH_RECORDS records
// (1,000,000), each a leaf of 300 bytes with two rows, in $LEDGER_BENCH_DIR (the directory for temporary files), which
// has to be on the disk that is asked about.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/rng.h"
#include "ledger/ledger.h"

namespace {

using namespace fieldprint::ledger;
namespace fs = std::filesystem;

fs::path folder_of(const char* name) {
  const char* parent = std::getenv("LEDGER_BENCH_DIR");
  return (parent ? fs::path(parent) : fs::temp_directory_path()) / (std::string("ledger-bench-") + name);
}

LedgerOptions options() {
  static const SignerKey key = SignerKey::generate("bench.example/log", KeyType::kEd25519);
  return {.origin = "bench.example/log", .signer = key, .interval = std::chrono::seconds(1)};
}

Bytes bytes_of(fieldprint::Rng& rng, size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.next());
  return bytes;
}

int64_t enqueue(Ledger& ledger, fieldprint::Rng& rng) {
  const Bytes id = bytes_of(rng, 32);
  return ledger.enqueue({bytes_of(rng, 300)}, {{1, id, bytes_of(rng, 400)}, {2, id, bytes_of(rng, 16)}});
}

// Made once for all that want it, and removed at the end.
class LargeLedger {
 public:
  LargeLedger() {
    fs::remove_all(dir);
    const char* count = std::getenv("LEDGER_BENCH_RECORDS");
    size = count ? std::atoll(count) : 1'000'000;
    Ledger ledger(dir, options());
    fieldprint::Rng rng(1);
    for (int64_t i = 0; i < size; ++i) {
      enqueue(ledger, rng);
      if (i % 2000 == 1999) ledger.wait_durable(i - 1000);
    }
    ledger.sign();
  }
  ~LargeLedger() { fs::remove_all(dir); }
  const fs::path dir = folder_of("large");
  int64_t size;
};

LargeLedger& large() {
  static LargeLedger ledger;
  return ledger;
}

void percentiles(benchmark::State& state, std::vector<double>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))];
  };
  state.counters["p50_ms"] = at(0.5) * 1e3;
  state.counters["p99_ms"] = at(0.99) * 1e3;
  state.counters["max_ms"] = seconds.back() * 1e3;
}

template <typename Work>
double seconds_of(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void leaf_hashing(benchmark::State& state) {
  fieldprint::Rng rng(1);
  const Bytes leaf = bytes_of(rng, static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(leaf_hash(leaf));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(leaf_hashing)->Arg(32)->Arg(300)->Arg(1024);

void tree_append(benchmark::State& state) {
  MerkleTree tree;
  const Digest leaf{};
  for (auto _ : state) tree.append(leaf);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(tree_append);

// What every durable write here costs at least.
void disk_fsync(benchmark::State& state) {
  const fs::path path = folder_of("fsync");
  std::vector<double> seconds;
  for (auto _ : state) {
    seconds.push_back(seconds_of([&] { replace_file(path, view_of("x")); }));
  }
  percentiles(state, seconds);
  fs::remove(path);
}
BENCHMARK(disk_fsync)->Iterations(200);

// One caller who waits for each record; signing goes on once a second beside it, or not.
void commit_single(benchmark::State& state) {
  const fs::path dir = folder_of("single");
  fs::remove_all(dir);
  {
    LedgerOptions with = options();
    if (state.range(0) == 0) with.interval = std::chrono::hours(1);
    Ledger ledger(dir, with);
    fieldprint::Rng rng(1);
    std::vector<double> seconds;
    for (auto _ : state) {
      seconds.push_back(seconds_of([&] { ledger.wait_durable(enqueue(ledger, rng) + 1); }));
    }
    percentiles(state, seconds);
  }
  fs::remove_all(dir);
}
BENCHMARK(commit_single)->ArgName("signing")->Arg(0)->Arg(1)->Iterations(1000);

// A thousand records enqueued, then waited for: what shares a transaction shares its fsync.
void commit_batched(benchmark::State& state) {
  const fs::path dir = folder_of("batched");
  fs::remove_all(dir);
  {
    Ledger ledger(dir, options());
    fieldprint::Rng rng(1);
    for (auto _ : state) {
      int64_t last = 0;
      for (int i = 0; i < 1000; ++i) last = enqueue(ledger, rng);
      ledger.wait_durable(last + 1);
    }
    state.SetItemsProcessed(state.iterations() * 1000);
  }
  fs::remove_all(dir);
}
BENCHMARK(commit_batched)->Iterations(40)->UseRealTime();

void proof(benchmark::State& state) {
  const Ledger ledger(large().dir, options());
  fieldprint::Rng rng(2);
  std::vector<double> seconds;
  size_t hashes = 0;
  for (auto _ : state) {
    const int64_t index = rng.below(large().size);
    std::string text;
    seconds.push_back(seconds_of([&] { text = ledger.proof(index); }));
    hashes = std::max(hashes, parse_proof(text).hashes.size());
  }
  percentiles(state, seconds);
  state.counters["hashes"] = static_cast<double>(hashes);
}
BENCHMARK(proof)->Iterations(2000)->Unit(benchmark::kMicrosecond);

void start(benchmark::State& state) {
  large();
  for (auto _ : state) Ledger(large().dir, options());
}
BENCHMARK(start)->Iterations(5)->Unit(benchmark::kMillisecond)->UseRealTime();

// A start that also reads and hashes every leaf again and compares the root, as a memory's does.
void start_and_replay(benchmark::State& state) {
  large();
  for (auto _ : state) {
    const Ledger ledger(large().dir, options());
    MerkleTree tree;
    ledger.leaves(0, large().size, [&](int64_t, ByteView leaf) { tree.append(leaf_hash(leaf)); });
    if (tree.root() != ledger.root(large().size)) state.SkipWithError("another root");
  }
}
BENCHMARK(start_and_replay)->Iterations(3)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
