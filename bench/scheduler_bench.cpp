// How evenly answers come while a long prompt is read beside them: streams decode alone, then with one prompt more. The
// gaps between tokens of one answer, in milliseconds, and the time of the prompt.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "fieldprint/scheduler.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<TokenId> some_tokens(int count, int seed, int vocabulary) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 3'001 + i / 7 * 13 + 300) % (vocabulary - 400));
  return tokens;
}

// The gaps of all answers, while there is `phase` 0 or 1.
struct Gaps {
  std::mutex mutex;
  std::atomic<int> phase{-1};
  std::vector<double> ms[2];
};

double at(std::vector<double>& sorted, double share) {
  std::sort(sorted.begin(), sorted.end());
  return sorted.empty()
             ? 0
             : sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) {
  using namespace fieldprint;
  CLI::App app;
  std::string path, kv = "f16";
  int streams = 15, prompt = 4000, seconds = 20, threads = 0, chunk = 0;
  app.add_option("MODEL", path)->required();
  app.add_option("--streams", streams);
  app.add_option("--prompt", prompt);
  app.add_option("--seconds", seconds, "that the answers run alone");
  app.add_option("--threads", threads);
  app.add_option("--chunk-with-decode", chunk);
  app.add_option("--kv-type", kv);
  CLI11_PARSE(app, argc, argv);
  const auto model = Model::load(path, {.threads = threads});
  const int vocabulary = model->info().vocabulary;
  SchedulerOptions options;
  options.streams = streams + 1;
  options.session.kv_type = kv;
  if (chunk > 0) options.chunk_with_decode = chunk;
  Scheduler scheduler(model, options);
  SamplingOptions endless;
  endless.loop_check = false;
  for (TokenId t = 0; t < vocabulary; ++t) {
    if (model->tokenizer().ends_generation(t)) endless.logit_bias.emplace_back(t, -1e9f);
  }
  Gaps gaps;
  std::vector<Clock::time_point> last(static_cast<size_t>(streams));
  std::vector<Stream> running;
  std::atomic<int> begun{0};
  for (int i = 0; i < streams; ++i) {
    Request request{some_tokens(32, i, vocabulary), endless, {}, {}};
    request.sampling.seed = static_cast<uint64_t>(i) + 1;
    request.on_token = [&, i](int, const Generation& so_far) {
      const auto now = Clock::now();
      auto& before = last[static_cast<size_t>(i)];
      if (so_far.tokens.size() == 1) ++begun;
      else if (gaps.phase >= 0)
        gaps.ms[gaps.phase].push_back(std::chrono::duration<double, std::milli>(now - before).count());
      before = now;
    };
    running.push_back(scheduler.submit(std::move(request)));
  }
  while (begun < streams) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  gaps.phase = 0;
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  Request longer{some_tokens(prompt, 1'000, vocabulary), endless, {}, {}};
  longer.sampling.max_tokens = 1;
  gaps.phase = 1;
  const auto start = Clock::now();
  (void)scheduler.submit(std::move(longer)).wait();
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  gaps.phase = -1;
  for (Stream& stream : running) stream.cancel();
  for (Stream& stream : running) (void)stream.wait();
  const double median = at(gaps.ms[0], 0.5);
  for (int phase = 0; phase < 2; ++phase) {
    auto& ms = gaps.ms[phase];
    fmt::print("{:<22} {:5} gaps: median {:7.1f} ms, p99 {:7.1f} ms ({:.2f} times the median alone)\n",
               phase == 0 ? "alone" : "beside the prompt", ms.size(), at(ms, 0.5), at(ms, 0.99), at(ms, 0.99) / median);
  }
  fmt::print("{} prompt tokens in {:.1f} s, {:.0f} tokens/s\n", prompt, took, prompt / took);
}
