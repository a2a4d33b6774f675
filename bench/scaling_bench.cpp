// How a model's steps would scale on more cores than there are: scaling_bench [MODEL], the default one else. Every
// parallel loop is rehearsed (ThreadPool::rehearse) for 1 to 64 threads, and what its longest thread takes stands for
// the loop. So this shows what the cutting and dealing of work allow, and what is left serial. It does not show the
// memory bus, which decode fills long before.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "engine/stepper.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr double kBarrier = 2e-6;  // start and end of a loop, generously (thread_pool_bench)

struct Case {
  const char* name;
  int depth, tokens, streams, steps;  // `steps` of `tokens` for each of the streams, after `depth`
};
constexpr Case kCases[] = {
    {"prefill 512", 0, 512, 1, 1},
    {"decode", 0, 1, 1, 8},
    {"decode at 2,048", 2048, 1, 1, 8},
    {"16 streams", 32, 1, 16, 4},
};

class Steps {
 public:
  Steps(const std::shared_ptr<const LoadedModel>& model, const Case& c)
      : case_(c), stepper_(std::make_shared<Stepper>(model, SessionOptions{.context = c.depth + c.tokens * c.steps})) {
    for (int i = 0; i < c.streams; ++i) {
      sequences_.push_back(stepper_->begin());
      for (int at = 0; at < c.depth; at += 512)
        stepper_->step(sequences_.back(), more_tokens(std::min(512, c.depth - at)), LogitRows::kNone);
    }
  }

  // Seconds that the steps take.
  double run() {
    double seconds = 0;
    for (Sequence& sequence : sequences_) stepper_->truncate(sequence, case_.depth);
    for (int step = 0; step < case_.steps; ++step) {
      std::vector<std::vector<TokenId>> tokens;
      std::vector<StepPart> parts;
      for (size_t i = 0; i < sequences_.size(); ++i) tokens.push_back(more_tokens(case_.tokens));
      for (size_t i = 0; i < sequences_.size(); ++i) parts.push_back({&sequences_[i], tokens[i]});
      const auto start = std::chrono::steady_clock::now();
      stepper_->step(parts);
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    return seconds;
  }

 private:
  std::vector<TokenId> more_tokens(int count) {
    std::vector<TokenId> tokens;
    for (; count > 0; --count) tokens.push_back(token_ = (token_ + 7919) % stepper_->model().info().vocabulary);
    return tokens;
  }

  const Case& case_;
  std::shared_ptr<Stepper> stepper_;
  std::vector<Sequence> sequences_;
  TokenId token_ = 0;
};

void run(const std::string& path) {
  fmt::print("{:16} {:>8} {:>10} {:>8} {:>8} {:>12}\n", "", "threads", "ms a step", "faster", "serial", "loops a step");
  for (const Case& c : kCases) {
    double one = 0;
    for (const int threads : {1, 2, 4, 8, 16, 32, 64}) {
      const auto model = std::make_shared<const LoadedModel>(path, LoadOptions{.threads = 1});
      model->pool().rehearse(threads);
      Steps steps(model, c);
      steps.run();  // fills caches
      model->pool().rehearse(threads);
      const double seconds = steps.run();
      const ThreadPool::Rehearsal& r = model->pool().rehearsal();
      const double serial = seconds - r.alone, expected = serial + r.together + static_cast<double>(r.loops) * kBarrier;
      if (threads == 1) one = expected;
      fmt::print("{:16} {:8} {:10.2f} {:7.1f}x {:7.1f}% {:12.0f}\n", c.name, threads, expected / c.steps * 1e3,
                 one / expected, 100 * serial / expected, static_cast<double>(r.loops) / c.steps);
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) {
  try {
    fieldprint::run(fieldprint::resolve_model(argc > 1 ? argv[1] : std::string(fieldprint::kDefaultModel)));
  } catch (const fieldprint::Error& e) {
    fmt::print(stderr, "scaling_bench: {}\n", e.what());
    return argc > 1 ? 1 : 0;  // without the default model it is skipped
  }
}
