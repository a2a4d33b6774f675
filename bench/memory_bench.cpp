// What a memory costs: a record admitted with the disk out of the way and with it, many clients at once, recall,
// opening, what is asked before an anchor is pinned. FIELDPRINT_MEMORY_RECORDS: how many records there are (10,000).
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "fieldprint/memory_setup.h"
#include "memory/export.h"
#include "memory/memory.h"

namespace {

using namespace fieldprint;
using namespace fieldprint::memory;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

const MemoryCaller kCaller{"alice", "", "cli"};

class Place {
 public:
  explicit Place(const fs::path& parent) : root_(parent / ("fieldprint-bench-" + std::to_string(getpid()))) {
    fs::remove_all(root_);
    fs::create_directories(root_);
    MemorySetup setup;
    setup.directory = (root_ / "memory").string();
    setup.origin = "bench.example/memory";
    for (const char* role : {"root", "operator", "approver"}) {
      setup.keys.push_back({role, make_memory_key(role, (root_ / role).string())});
    }
    make_memory(setup);
    open();
    Policy policy;
    policy.source_a_day = policy.principal_a_day = policy.all_a_day = 1 << 30;
    const memory::Statement statement =
        memory->statement("policy", {{"policy", ledger::to_hex(ledger::encode(policy.cbor()))}});
    memory->submit(ledger::parse_note(sign_statement(statement_text(statement), (root_ / "root").string())));
  }
  ~Place() {
    memory.reset();
    fs::remove_all(root_);
  }
  void open() {
    memory.reset();
    MemoryOptions options;
    options.directory = (root_ / "memory").string();
    memory = std::make_unique<Memory>(options);
  }
  RecordId anchor() {
    const Admitted candidate =
        memory->propose(kCaller, {.text = "Answer in the language of the question.", .channel = "user"});
    const memory::Statement statement = memory->statement("endorse", {{"record", hex(candidate.id)}});
    return *memory->submit(ledger::parse_note(sign_statement(statement_text(statement), (root_ / "approver").string())))
                .anchor;
  }
  std::unique_ptr<Memory> memory;

 private:
  fs::path root_;
};

Offer offer(int64_t number) {
  return {.text = "Note " + std::to_string(number) + ": the service " + std::to_string(number * 7919 % 10007) +
                  " answers on port " + std::to_string(number % 60000) + " and belongs to team " +
                  std::to_string(number % 97) + ".",
          .channel = "user"};
}

int64_t records() {
  const char* given = std::getenv("FIELDPRINT_MEMORY_RECORDS");
  return given ? std::atoll(given) : 10000;
}

void fill(Memory& memory, int64_t count) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 64; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = t; i < count; i += 64) memory.admit(kCaller, offer(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void quantiles(benchmark::State& state, std::vector<double> microseconds) {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double share) {
    return microseconds[static_cast<size_t>(share * static_cast<double>(microseconds.size() - 1))];
  };
  state.counters["p50_us"] = at(0.5);
  state.counters["p99_us"] = at(0.99);
}

template <class Run>
void timed(benchmark::State& state, Run&& run) {
  std::vector<double> all;
  for (auto _ : state) {
    const auto begin = Clock::now();
    run();
    all.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  quantiles(state, std::move(all));
}

void admit_in_memory(benchmark::State& state) {
  Place place("/dev/shm");
  int64_t i = 0;
  timed(state, [&] { place.memory->admit(kCaller, offer(i++)); });
}
BENCHMARK(admit_in_memory)->Iterations(3000)->Unit(benchmark::kMicrosecond);

void admit_durably(benchmark::State& state) {
  Place place(fs::current_path());
  int64_t i = 0;
  timed(state, [&] { place.memory->admit(kCaller, offer(i++)); });
}
BENCHMARK(admit_durably)->Iterations(2000)->Unit(benchmark::kMicrosecond);

void admit_of_64_clients(benchmark::State& state) {
  Place place(fs::current_path());
  for (auto _ : state) fill(*place.memory, 8000);
  state.counters["records/s"] = benchmark::Counter(8000, benchmark::Counter::kIsRate);
}
BENCHMARK(admit_of_64_clients)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

void with_many_records(benchmark::State& state) {
  Place place("/dev/shm");
  fill(*place.memory, records());
  place.memory->recall(kCaller, {.text = "warm"});
  place.memory.reset();
  const auto begin = Clock::now();
  place.open();
  state.counters["start_s"] = std::chrono::duration<double>(Clock::now() - begin).count();
  const RecordId anchor = place.anchor();
  place.memory->ledger().sign();
  std::vector<double> recalls, proofs, pins;
  int64_t i = 0;
  for (auto _ : state) {
    for (int k = 0; k < 200; ++k) {
      auto at = Clock::now();
      const auto lap = [&](std::vector<double>& into) {
        const auto now = Clock::now();
        into.push_back(std::chrono::duration<double, std::micro>(now - at).count());
        at = now;
      };
      place.memory->recall(kCaller, {.text = "which team has the service " + std::to_string(i * 31 % 10007) + "?"});
      lap(recalls);
      benchmark::DoNotOptimize(place.memory->ledger().proof(i * 977 % place.memory->ledger().signed_size()));
      lap(proofs);
      benchmark::DoNotOptimize(place.memory->cannot_pin(anchor));
      lap(pins);
      ++i;
    }
  }
  const auto at = [](std::vector<double>& all, double share) {
    std::sort(all.begin(), all.end());
    return all[static_cast<size_t>(share * static_cast<double>(all.size() - 1))];
  };
  state.counters["recall_p50_us"] = at(recalls, 0.5);
  state.counters["recall_p99_us"] = at(recalls, 0.99);
  state.counters["proof_p99_us"] = at(proofs, 0.99);
  state.counters["can_pin_p99_us"] = at(pins, 0.99);
}
BENCHMARK(with_many_records)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
