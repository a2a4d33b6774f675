// Decode with and without drafts, taken in turn: a text that is to be repeated with a change, and free prose. Every
// answer is compared with that without.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "fieldprint/catalog.h"
#include "fieldprint/chat.h"
#include "fieldprint/session.h"

namespace fieldprint {
namespace {

constexpr const char* kEdit =
    "Repeat the following text word for word, but write \"harbour\" in place of \"station\". Write only the text.\n\n"
    "The old station stood at the end of a long street of lime trees. In the morning the first train arrived at six, "
    "and "
    "the people who worked in the city walked from the square to the station with their collars turned up against the "
    "wind. A boy sold newspapers beside the main door. His father had sold newspapers at the same place, and before "
    "him "
    "his grandfather, when the station was still new and the trains were drawn by steam. At noon the hall was empty. "
    "The "
    "light fell through the high windows onto the stone floor, and the only sound was that of the large clock above "
    "the "
    "ticket office. In the evening the trains came back, one every ten minutes, and the station was full of voices. "
    "Some "
    "people stopped for a cup of tea, others hurried home. After the last train the boy counted his coins, folded the "
    "papers that were left, and closed the small green box that stood beside the door of the station.";

constexpr const char* kCode =
    "Rename the variable `total` to `sum` in this function. Write only the code.\n\n"
    "def average(values, weights=None):\n    \"\"\"The weighted mean of some values.\"\"\"\n    if weights is None:\n"
    "        weights = [1] * len(values)\n    if len(values) != len(weights):\n"
    "        raise ValueError(\"values and weights differ in length\")\n    total = 0\n    weight = 0\n"
    "    for value, w in zip(values, weights):\n        if w < 0:\n            raise ValueError(\"a weight is "
    "negative\")\n"
    "        total += value * w\n        weight += w\n    if weight == 0:\n        raise ValueError(\"all weights are "
    "0\")\n"
    "    return total / weight\n";

constexpr const char* kProse = "Write a short story about a lighthouse keeper who finds a letter in a bottle.";

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) {
  using namespace fieldprint;
  CLI::App app;
  std::string name, draft;
  int runs = 3, tokens = 300, threads = 0;
  float temperature = 0;
  std::vector<std::string> ways = {"auto", "ngram"};
  app.add_option("MODEL", name)->required();
  app.add_option("--draft", draft, "a draft model: measured too");
  app.add_option("--runs", runs);
  app.add_option("--tokens", tokens);
  app.add_option("--threads", threads);
  app.add_option("--temp", temperature);
  CLI11_PARSE(app, argc, argv);
  const auto model = Model::load(resolve_model(name), {.threads = threads});
  const auto drafts = draft.empty() ? nullptr : Model::load(resolve_model(draft), {.threads = threads});
  if (drafts != nullptr) ways.emplace_back("model");
  ways.insert(ways.begin(), "off");
  for (const auto& [task, text] : {std::pair("edit a text", kEdit), {"edit code", kCode}, {"prose", kProse}}) {
    const auto prompt = ChatFormat(model->tokenizer(), *model->chat_template()).spans({{"user", text}});
    SamplingOptions sampling;
    sampling.temperature = temperature;
    sampling.max_tokens = tokens;
    std::vector<std::vector<double>> speeds(ways.size()), ratios(ways.size());
    std::vector<Generation> last(ways.size());
    for (int run = 0; run < runs; ++run) {
      double off = 0;
      for (size_t w = 0; w < ways.size(); ++w) {
        SessionOptions options;
        options.speculation.drafts = ways[w];
        if (ways[w] == "model") options.speculation.model = drafts;
        Session session(model, options);
        last[w] = session.generate(std::span<const LabelledTokens>(prompt), sampling);
        const double speed = last[w].stats.decode_tokens / last[w].stats.decode_seconds;
        if (w == 0) off = speed;
        speeds[w].push_back(speed);
        ratios[w].push_back(speed / off);
        if (last[w].tokens != last[0].tokens || last[w].stats.logits_hash != last[0].stats.logits_hash) {
          fmt::print("{}: the answer with {} differs\n", task, ways[w]);
          return 1;
        }
      }
    }
    for (size_t w = 0; w < ways.size(); ++w) {
      const RunStats& stats = last[w].stats;
      const auto [least, most] = std::minmax_element(ratios[w].begin(), ratios[w].end());
      fmt::print("{:<12} {:<6} {:7.1f} tokens/s  {:.2f} ({:.2f}-{:.2f})  {} tokens, {} drafted, {} right\n", task,
                 ways[w], median(speeds[w]), median(ratios[w]), *least, *most, stats.decode_tokens,
                 stats.drafted_tokens, stats.accepted_tokens);
    }
  }
}
