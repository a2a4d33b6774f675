// The cost of boundaries, a pinned anchor that is scrubbed, and the readiness to revoke, all at once: two schedulers of
// one model give the same answers in turn, one with all of it, one with nothing, and the ratios of each pair are
// printed: CPU time of the scheduler's thread for a token, of the whole process for an answer (the consumer's hashes
// and the scrubber's are in it), and the wall time between two tokens. commit_bench [MODEL [PAIRS [TOKENS]]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"

namespace {

using namespace fieldprint;

double cpu_ms(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

double at(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

struct Cost {
  double thread_ms = 0, process_ms = 0;
  std::vector<double> between_ms, token_ms;  // wall time, and the thread's own
};

Cost answer(Scheduler& scheduler, const std::vector<LabelledTokens>& spans, int tokens, bool on) {
  Cost cost;
  double thread_first = 0, process_first = 0, thread_last = 0;
  std::chrono::steady_clock::time_point last;
  Request request;
  request.spans = spans;
  request.sampling.temperature = 0;
  request.sampling.max_tokens = tokens;
  request.sampling.loop_check = false;
  request.boundaries = on;
  request.on_token = [&](int, const Generation& so_far) {
    const auto now = std::chrono::steady_clock::now();
    const double thread = cpu_ms(CLOCK_THREAD_CPUTIME_ID), process = cpu_ms(CLOCK_PROCESS_CPUTIME_ID);
    if (so_far.tokens.size() == 1) {
      thread_first = thread;
      process_first = process;
    } else {
      cost.between_ms.push_back(std::chrono::duration<double, std::milli>(now - last).count());
      cost.token_ms.push_back(thread - thread_last);
    }
    last = now;
    thread_last = thread;
    const auto steps = static_cast<double>(so_far.tokens.size()) - 1;
    cost.thread_ms = (thread - thread_first) / steps;
    cost.process_ms = (process - process_first) / steps;
  };
  (void)scheduler.submit(request).wait();
  return cost;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string name(argc > 1 ? std::string(argv[1]) : std::string(kDefaultModel));
  const int pairs = argc > 2 ? std::atoi(argv[2]) : 20, tokens = argc > 3 ? std::atoi(argv[3]) : 300;
  const auto model = Model::load(resolve_model(name), {.threads = 1});
  std::vector<LabelledTokens> spans = {{{SpanKind::kAnchor, "memory:1", 0}, {}}, {{SpanKind::kUser, "", 0}, {}}};
  for (int i = 0; i < 64; ++i) spans[0].tokens.push_back((i * 97 + 31) % 256);
  for (int i = 0; i < 64; ++i) spans[1].tokens.push_back((i * 89 + 17) % 256);
  const auto ring = std::make_shared<BoundaryRing>();
  uint64_t taken = 0;
  std::thread consumer([&] {
    Boundary next;
    while (ring->take(next)) ++taken;
  });
  {
    Scheduler off(model), on(model, {.session = {.revoked = {"memory:2"}}, .boundaries = ring});
    const AnchorInfo anchor = on.compile_anchor(std::span(spans).first(1));
    on.pin_anchor(anchor.id, anchor.kv_digest);
    fmt::print("anchor: {} tokens, {} pieces, {:.1f} MB\n", anchor.tokens, anchor.pieces,
               static_cast<double>(anchor.bytes) / 1e6);
    std::vector<double> thread, process, off_between, on_between, off_token, on_token;
    for (int i = -1; i < pairs; ++i) {  // the first one warms
      Cost costs[2];
      for (const bool first : {true, false}) {
        const bool is_on = first == (i % 2 == 0);  // each goes first every other time
        costs[is_on] = answer(is_on ? on : off, spans, tokens, is_on);
      }
      if (i < 0) continue;
      thread.push_back(costs[1].thread_ms / costs[0].thread_ms);
      process.push_back(costs[1].process_ms / costs[0].process_ms);
      off_between.insert(off_between.end(), costs[0].between_ms.begin(), costs[0].between_ms.end());
      on_between.insert(on_between.end(), costs[1].between_ms.begin(), costs[1].between_ms.end());
      off_token.insert(off_token.end(), costs[0].token_ms.begin(), costs[0].token_ms.end());
      on_token.insert(on_token.end(), costs[1].token_ms.begin(), costs[1].token_ms.end());
    }
    for (const double share : {0.01, 0.1, 0.5}) {  // the fastest say most where others use the machine too
      fmt::print("a token, {:2.0f} % are faster: {:.3f} ms without, {:.3f} ms with, {:.4f}\n", share * 100,
                 at(off_token, share), at(on_token, share), at(on_token, share) / at(off_token, share));
    }
    fmt::print("median of {} paired ratios: {:.4f} of the scheduler's thread, {:.4f} of the process\n", pairs,
               at(thread, 0.5), at(process, 0.5));
    fmt::print("between two tokens: median {:.3f} and {:.3f} ms, 99 % below {:.3f} and {:.3f} ms\n",
               at(off_between, 0.5), at(on_between, 0.5), at(off_between, 0.99), at(on_between, 0.99));
  }
  consumer.join();
  fmt::print("{} boundaries\n", taken);
  return 0;
} catch (const Error& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 2;
}
