// The cost of measuring influence in a decode step: two sessions of one model take the same steps in turn, one with it,
// one without, and the ratio of each pair's CPU time is printed. influence_bench [MODEL [DEPTH ...]]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/session.h"

namespace {

constexpr int kSteps = 300;

double thread_ms() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void measure(const std::shared_ptr<const fieldprint::Model>& model, int depth) {
  using namespace fieldprint;
  std::vector<LabelledTokens> spans = {{{SpanKind::kSystem}, {}}, {{SpanKind::kUser}, {}}};
  for (int i = 0; i < depth; ++i) spans[i < depth / 3 ? 0 : 1].tokens.push_back((i * 97 + 31) % 256);
  Session off(model), on(model, {.influence = true});
  off.append(spans);
  on.append(spans);
  std::vector<double> off_ms, on_ms, ratios;
  for (int i = 0; i < kSteps; ++i) {
    const TokenId token = i % 256;
    double ms[2];
    for (const bool first : {true, false}) {
      const bool is_on = first == (i % 2 == 0);  // each goes first every other time
      const double start = thread_ms();
      (is_on ? on : off).append(std::span(&token, 1));
      ms[is_on] = thread_ms() - start;
    }
    off_ms.push_back(ms[0]);
    on_ms.push_back(ms[1]);
    ratios.push_back(ms[1] / ms[0]);
  }
  fmt::print("depth {:5}: {:.3f} ms without, {:.3f} ms with, median of {} paired ratios {:.4f}\n", depth,
             median(off_ms), median(on_ms), kSteps, median(ratios));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string name(argc > 1 ? std::string(argv[1]) : std::string(fieldprint::kDefaultModel));
  const auto model = fieldprint::Model::load(fieldprint::resolve_model(name), {.threads = 1});
  std::vector<int> depths;
  for (int i = 2; i < argc; ++i) depths.push_back(std::atoi(argv[i]));
  for (const int depth : depths.empty() ? std::vector<int>{64, 300, 1500} : depths) measure(model, depth);
  return 0;
} catch (const fieldprint::Error& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 2;
}
