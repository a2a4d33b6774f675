#include "lab/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "fieldprint/chart.h"
#include "lab/model.h"

namespace fieldprint {
namespace {

constexpr double kTie = 0.005;  // figures that are nearer than this share of them are no difference
constexpr double kNever = std::numeric_limits<double>::infinity();

double steps_of(const LabRun& run) {
  return run.steps_to_threshold < 0 ? kNever : static_cast<double>(run.steps_to_threshold);
}

template <class Figure>
Spread spread(const RunGroup& group, Figure&& figure) {
  std::vector<double> values;
  for (const LabRun* run : group.runs) values.push_back(figure(*run));
  return spread_of(std::move(values));
}

std::string steps_text(double steps) { return std::isfinite(steps) ? fmt::format("{:g}", steps) : "never"; }
std::string loss_text(double loss) { return fmt::format("{:.4f}", loss); }
std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }
std::string ms_text(double ms) { return fmt::format("{:.2f} ms", ms); }
std::string seconds_text(double s) { return std::isfinite(s) ? fmt::format("{:.2f} s", s) : "never"; }
std::string rate_text(float rate) { return fmt::format("{:g}", rate); }

template <class Text>
std::string range(const Spread& s, Text&& text) {
  return fmt::format("{} to {}", text(s.least), text(s.most));
}
template <class Text>
std::string quartiles(const Spread& s, Text&& text) {
  return fmt::format("{} to {}", text(s.q1), text(s.q3));
}

// A figure that runs are compared by.
struct Measure {
  const char* name;
  bool more_is_better;
  Spread (RunGroup::*of)() const;
  std::string (*text)(double);
};

constexpr Measure kMeasures[] = {
    {"steps to 99 % accuracy", false, &RunGroup::steps, steps_text},
    {"time to 99 % accuracy", false, &RunGroup::seconds_to_threshold, seconds_text},
    {"time of a step", false, &RunGroup::step_ms, ms_text},
    {"final accuracy", true, &RunGroup::accuracy, percent},
    {"final loss where it is asked", false, &RunGroup::loss, loss_text},
    {"training loss over the last tenth of the steps", false, &RunGroup::train_loss, loss_text},
};

std::string setup(const LabComparison& c, const LabRun& run) {
  const LabSettings& s = run.settings;
  std::vector<std::string> with, without;
  const auto part = [&](bool there, const char* name) { (there ? with : without).push_back(name); };
  part(s.rope, "RoPE");
  part(s.bias, "biases");
  part(s.residual, "residuals");
  part(s.norm, "norms");
  part(s.ffn > 0, "FFN");
  if (with.empty()) with.push_back("nothing else");
  if (without.empty()) without.push_back("nothing");
  const std::string data = s.task == "text"
                               ? fmt::format("the {} of {}", s.tokenizer.empty() ? "bytes" : "tokens", s.text)
                               : fmt::format("the task {} with a vocabulary of {}", s.task, s.vocabulary);
  return fmt::format(
      "Models of {} {} of width {} with {} heads (with {}; without {}) learn {}, in sequences of {} tokens, {} a step, "
      "for {} steps. The embedding begins with a deviation of {:g}, matrices as PyTorch's nn.Linear does. Adam (beta "
      "0.9 "
      "and 0.999, epsilon 1e-8, no decay) at a constant learning rate; the loss is the mean cross-entropy over all "
      "places but the first. Accuracy is counted where the answer follows from what stands before it, on {} held-out "
      "sequences, the same for all, every {} steps. Seeds {} to {} draw weights and batches. All is computed in "
      "float32.",
      s.layers, s.layers == 1 ? "layer" : "layers", s.width, s.heads, fmt::join(with, ", "), fmt::join(without, ", "),
      data, s.length, s.batch, s.steps, s.embedding_deviation, s.held_out, s.every, c.settings.seed,
      c.settings.seed + static_cast<uint64_t>(c.seeds) - 1);
}

// How fast each group learned, and where it ended.
void add_results(Page& page, std::span<const RunGroup> groups) {
  std::vector<std::vector<std::string>> learned, ended;
  for (const RunGroup& g : groups) {
    const Spread steps = g.steps(), loss = g.loss(), accuracy = g.accuracy(), train = g.train_loss();
    std::vector<double> speeds;
    for (const LabRun* run : g.runs) speeds.push_back(run->tokens_per_second);
    learned.push_back({g.kind, fmt::format("{}", g.runs[0]->parameters), rate_text(g.learning_rate),
                       fmt::format("{} of {}", g.reached(), g.runs.size()), steps_text(steps.median),
                       range(steps, steps_text), quartiles(steps, steps_text), ms_text(g.step_ms().median),
                       fmt::format("{:.0f}", spread_of(std::move(speeds)).median)});
    ended.push_back({g.kind, rate_text(g.learning_rate), percent(accuracy.median), range(accuracy, percent),
                     loss_text(loss.median), range(loss, loss_text), loss_text(train.median), range(train, loss_text)});
  }
  page.table({"kind", "parameters", "learning rate", "above 99 %", "steps to 99 %", "min to max", "quartiles",
              "a step takes", "tokens/s"},
             std::move(learned));
  page.table({"kind", "learning rate", "accuracy", "min to max", "loss", "min to max", "training loss", "min to max"},
             std::move(ended));
}

// For each step the middle of all runs, and how far they are apart.
template <class Value>
ChartLine line_of(const RunGroup& group, std::string name, Value&& value) {
  ChartLine line{std::move(name), {}, {}, {}, {}};
  size_t points = SIZE_MAX;
  for (const LabRun* run : group.runs) points = std::min(points, run->points.size());
  for (size_t i = 0; i < points; ++i) {
    std::vector<double> values;
    for (const LabRun* run : group.runs) values.push_back(value(run->points[i]));
    if (std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) continue;
    const Spread s = spread_of(std::move(values));
    line.x.push_back(static_cast<double>(group.runs[0]->points[i].step));
    line.middle.push_back(s.median);
    line.low.push_back(s.least);
    line.high.push_back(s.most);
  }
  return line;
}

}  // namespace

int RunGroup::reached() const {
  return static_cast<int>(
      std::count_if(runs.begin(), runs.end(), [](auto* run) { return run->steps_to_threshold >= 0; }));
}
Spread RunGroup::steps() const { return spread(*this, steps_of); }
Spread RunGroup::seconds_to_threshold() const {
  return spread(*this, [](const LabRun& run) { return steps_of(run) * run.step_seconds; });
}
Spread RunGroup::step_ms() const {
  return spread(*this, [](const LabRun& run) { return 1000 * run.step_seconds; });
}
Spread RunGroup::loss() const {
  return spread(*this, [](const LabRun& run) { return run.loss; });
}
Spread RunGroup::accuracy() const {
  return spread(*this, [](const LabRun& run) { return run.accuracy; });
}
Spread RunGroup::train_loss() const {
  return spread(*this, [](const LabRun& run) { return run.train_loss; });
}

std::vector<RunGroup> groups_of(std::span<const LabRun> runs) {
  std::vector<RunGroup> groups;
  for (const LabRun& run : runs) {
    const auto same = [&](const RunGroup& g) {
      return g.kind == run.settings.kind && g.learning_rate == run.settings.learning_rate;
    };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) group = groups.insert(group, {run.settings.kind, run.settings.learning_rate, {}});
    group->runs.push_back(&run);
  }
  return groups;
}

std::vector<RunGroup> best_groups(std::span<const LabRun> runs) {
  const auto better = [](const RunGroup& a, const RunGroup& b) {
    if (a.reached() != b.reached()) return a.reached() > b.reached();
    const double steps_a = a.steps().median, steps_b = b.steps().median;
    if (steps_a != steps_b) return steps_a < steps_b;
    return a.loss().median < b.loss().median;
  };
  std::vector<RunGroup> best;
  for (RunGroup& group : groups_of(runs)) {
    const auto same = [&](const RunGroup& g) { return g.kind == group.kind; };
    const auto known = std::find_if(best.begin(), best.end(), same);
    if (known == best.end()) best.push_back(std::move(group));
    else if (better(group, *known)) *known = std::move(group);
  }
  return best;
}

Verdict verdict_of(const RunGroup& other, const RunGroup& base) {
  Verdict verdict;
  for (const Measure& m : kMeasures) {
    const Spread a = (other.*m.of)(), b = (base.*m.of)();
    if (std::isnan(a.median) || std::isnan(b.median)) continue;
    const std::string figures = fmt::format("{} against {} in the median ({}; {}: {})", m.text(a.median),
                                            m.text(b.median), range(a, m.text), base.kind, range(b, m.text));
    if (m.text(a.median) == m.text(b.median) || std::fabs(a.median - b.median) < kTie * std::fabs(b.median)) {
      verdict.even.push_back(fmt::format("{}: {}", m.name, figures));
      continue;
    }
    const double ratio = a.median / b.median;
    const std::string times =
        std::isfinite(ratio) && b.median > 0 && !m.more_is_better ? fmt::format(", {:.2f} times", ratio) : "";
    const char* sure = apart(a, b) ? "in every run" : "the ranges overlap";
    auto& to = (a.median > b.median) == m.more_is_better ? verdict.wins : verdict.loses;
    to.push_back(fmt::format("{}: {}{}; {}", m.name, figures, times, sure));
  }
  return verdict;
}

std::vector<ReportPicture> curves_of(std::span<const LabRun> runs) {
  Chart loss{"Training loss: median of the seeds, band from least to most", {"step"}, {"loss, nats"}, {}};
  Chart accuracy{"Accuracy on held-out sequences: median of the seeds, band from least to most",
                 {"step"},
                 {.title = "accuracy", .low = 0, .high = 1},
                 {}};
  for (const RunGroup& group : best_groups(runs)) {
    loss.lines.push_back(line_of(group, group.kind, [](const LabPoint& p) { return p.loss; }));
    accuracy.lines.push_back(line_of(group, group.kind, [](const LabPoint& p) {
      return p.accuracy >= 0 ? p.accuracy : std::numeric_limits<double>::quiet_NaN();
    }));
  }
  return {{"loss.svg", "training loss by step, one line a kind", line_chart(loss)},
          {"accuracy.svg", "accuracy by step, one line a kind", line_chart(accuracy)}};
}

Page comparison_page(const LabComparison& comparison, std::span<const LabRun> runs,
                     std::span<const ReportPicture> curves, std::span<const ReportPicture> maps) {
  Page page(fmt::format("Kinds of attention on the task {}", comparison.settings.task));
  const std::vector<RunGroup> best = best_groups(runs);
  page.text(setup(comparison, runs[0]));
  std::vector<std::string> kinds;
  for (const RunGroup& group : best) kinds.push_back(fmt::format("{}: {}", group.kind, lab_kind(group.kind).about));
  page.list(std::move(kinds));

  page.heading("Results");
  page.text(comparison.learning_rates.size() > 1
                ? "Each kind at the learning rate that served it best: most runs above 99 % accuracy, then in the "
                  "fewest steps, then with the least loss."
                : "All kinds at the same learning rate, which may serve one better than another.");
  add_results(page, best);
  page.text(fmt::format(
      "Medians over {} seeds; loss is where the answer can be known, training loss over the last tenth of the steps. "
      "Times are medians over the steps, on {} {} each with {} runs side by side; they are this "
      "machine's, while everything else is the same on every machine.",
      best[0].runs.size(), runs[0].threads, runs[0].threads == 1 ? "thread" : "threads", runs[0].side_by_side));
  for (const RunGroup& group : best) {
    if (!lab_kind(group.kind).matched) continue;
    for (const RunGroup& other : best) {
      if (other.kind != "gram") continue;
      const auto mine = static_cast<double>(group.runs[0]->parameters);
      page.text(fmt::format("{} has {} parameters and {} {}, {:.3f} times as many.", group.kind,
                            group.runs[0]->parameters, other.kind, other.runs[0]->parameters,
                            static_cast<double>(other.runs[0]->parameters) / mine));
    }
  }
  for (const ReportPicture& one : curves) page.picture(one.file, one.about, one.svg);

  for (size_t i = 1; i < best.size(); ++i) {
    const Verdict verdict = verdict_of(best[i], best[0]);
    const std::string pair = fmt::format("{} against {}", best[i].kind, best[0].kind);
    page.heading(pair);
    const auto part = [&](const std::string& begins, const std::vector<std::string>& points) {
      if (points.empty()) return;
      page.text(begins);
      page.list(points);
    };
    if (verdict.loses.empty()) page.text(fmt::format("{} loses nowhere here.", best[i].kind));
    part(fmt::format("{} loses in:", best[i].kind), verdict.loses);
    part(fmt::format("{} wins in:", best[i].kind), verdict.wins);
    part("No difference in:", verdict.even);
  }
  if (best.size() > 1) {
    const auto n = static_cast<int>(best[0].runs.size()), m = static_cast<int>(best[1].runs.size());
    page.heading("How sure this is");
    page.text(fmt::format(
        "\"In every run\" means that the ranges of both kinds do not meet: two kinds that do not differ would show "
        "that "
        "by chance with a probability of {:.2g} for {} and {} seeds, and this page makes {} such comparisons. A "
        "difference within overlapping ranges may be chance.",
        chance_apart(m, n), n, m, (best.size() - 1) * std::size(kMeasures)));
  }

  if (const auto groups = groups_of(runs); groups.size() > best.size()) {
    page.heading("All learning rates");
    add_results(page, groups);
  }
  if (!maps.empty()) {
    page.heading("Trained heads");
    page.text(fmt::format(
        "Where the heads of seed {} look in the first held-out sequence: rows are queries, columns keys; white is no "
        "attention, dark blue all of it, half of the darkness a quarter of it.",
        comparison.settings.seed));
    for (const ReportPicture& one : maps) page.picture(one.file, one.about, one.svg);
  }

  page.heading("Runs");
  std::vector<std::vector<std::string>> rows;
  for (const LabRun& run : runs) {
    rows.push_back({run.settings.kind, rate_text(run.settings.learning_rate), fmt::format("{}", run.settings.seed),
                    steps_text(steps_of(run)), percent(run.accuracy), loss_text(run.loss), loss_text(run.train_loss),
                    fmt::format("{}", run.skipped), fmt::format("{:.0f}", run.tokens_per_second),
                    run.weights_hash.substr(0, 16)});
  }
  page.table({"kind", "learning rate", "seed", "steps to 99 %", "accuracy", "loss", "training loss", "skipped",
              "tokens/s", "SHA-256 of the weights"},
             std::move(rows));
  page.text(fmt::format(
      "fieldprint {}. runs.csv and runs.jsonl have these rows with the hashes in full, steps.csv and steps.jsonl every "
      "step, runs/ each trained model as GGUF. The same command gives the same hashes.",
      comparison.version));
  return page;
}

}  // namespace fieldprint
