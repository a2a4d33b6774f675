// `fieldprint lab`: small models that learn a task with one kind of attention or another, and what came out.
#include "fieldprint/lab.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "lab_actions.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

std::vector<std::string> names_of(std::span<const LabName> names) {
  std::vector<std::string> all;
  for (const LabName& one : names) all.emplace_back(one.name);
  return all;
}

std::string list_of(std::span<const LabName> names) {
  std::string text;
  for (const LabName& one : names) text += fmt::format("{:<20}{}\n", one.name, one.about);
  return text;
}

// What run and compare share.
struct Settings {
  LabSettings lab;
  LoadOptions load;
  int seed = 1;
  bool rope = true, bias = true, list = false, json = false, quiet = false;

  LabSettings wanted() const {
    LabSettings all = lab;
    all.seed = static_cast<uint64_t>(seed);
    all.rope = rope;
    all.bias = bias;
    return all;
  }
  LabOptions options() const { return {.threads = load.threads, .isa = load.isa, .save = {}}; }
};

void add_settings(CLI::App& app, Settings& to) {
  LabSettings& s = to.lab;
  add_choice(app, "--task", s.task, names_of(lab_tasks()), "What is learned; --list says what each is")->group("Task");
  add_integer(app, "--length", s.length, 2, "Tokens of a sequence")->group("Task");
  add_integer(app, "--vocab-size", s.vocabulary, 2, "Tokens that a task draws from")->group("Task");
  add_text(app, "--text", s.text, "FILE", "The text that the task `text` learns; its last tenth is held out")
      ->group("Task");
  add_text(app, "--tokenizer", s.tokenizer, "FILE", "A GGUF file whose tokenizer cuts the text [bytes]")->group("Task");
  add_integer(app, "--layers", s.layers, 1, "Layers of the model")->group("Model");
  add_integer(app, "--width", s.width, 2, "Floats a token")->group("Model");
  add_integer(app, "--heads", s.heads, 1, "Heads of a layer")->group("Model");
  add_integer(app, "--ffn", s.ffn, 0, "Rows of each layer's FFN; 0 is none")->group("Model");
  add_flag(app, "--residual", s.residual, "Each part of a layer is added to the stream")->group("Model");
  add_flag(app, "--norm", s.norm, "RMS norm before attention, FFN and output")->group("Model");
  add_flag(app, "--head-norm", s.head_norm, "q, k and r RMS-normed per head")->group("Model");
  app.add_flag_callback(
         "--no-rope", [&to] { to.rope = false; }, "Without positions")
      ->group("Model");
  app.add_flag_callback(
         "--no-bias", [&to] { to.bias = false; }, "Matrices without biases")
      ->group("Model");
  add_number(app, "--embedding-deviation", s.embedding_deviation, 0, 100, "Of the embedding's first values")
      ->group("Model");
  add_integer(app, "--steps", s.steps, 1, "Steps of training")->group("Training");
  add_integer(app, "--batch", s.batch, 1, "Sequences a step")->group("Training");
  add_integer(app, "--every", s.every, 1, "Steps between two looks at held-out sequences")->group("Training");
  add_integer(app, "--held-out", s.held_out, 1, "Sequences of such a look")->group("Training");
  add_integer(app, "--seed", to.seed, 0, "Seed of weights and batches")->group("Training");
  add_flag(app, "--list", to.list, "Show the tasks and kinds");
  add_flag(app, "--json", to.json, "One JSON object a run")->group("Output");
  add_quiet(app, to.quiet);
  add_threads(app, to.load);
}

int show_list() {
  write_out("Tasks\n", Style::kBold);
  write_out(list_of(lab_tasks()));
  write_out("\nKinds\n", Style::kBold);
  write_out(list_of(lab_kinds()));
  return kDone;
}

// Tokens a second and the time left stand on the bar.
Progress progress_of(ProgressBar& bar) {
  return [&bar](std::string_view what, uint64_t done, uint64_t total) {
    return bar.update("tokens", done, total, fmt::format("{}, tokens", what));
  };
}

std::string steps_text(const LabRun& run) {
  return run.steps_to_threshold < 0 ? "never" : fmt::format("at step {}", run.steps_to_threshold);
}

void print_run(const LabRun& run) {
  write_out(fmt::format("{:<15} seed {:<3} lr {:<7g} 99 % {:<13} accuracy {:6.2f} %  loss {:.4f}  {:>8} tokens/s  {}\n",
                        run.settings.kind, run.settings.seed, run.settings.learning_rate, steps_text(run),
                        100 * run.accuracy, run.train_loss, fmt::format("{:.0f}", run.tokens_per_second),
                        run.weights_hash.substr(0, 16)));
}

void print_json(const LabRun& run) {
  const LabSettings& s = run.settings;
  const nlohmann::ordered_json object = {{"task", s.task},
                                         {"kind", s.kind},
                                         {"seed", s.seed},
                                         {"learning_rate", nlohmann::json::parse(fmt::format("{}", s.learning_rate))},
                                         {"steps", s.steps},
                                         {"parameters", run.parameters},
                                         {"steps_to_99", run.steps_to_threshold},
                                         {"accuracy", run.accuracy},
                                         {"loss", run.loss},
                                         {"train_loss", run.train_loss},
                                         {"seconds", run.seconds},
                                         {"step_seconds", run.step_seconds},
                                         {"tokens_per_second", run.tokens_per_second},
                                         {"skipped", run.skipped},
                                         {"weights_sha256", run.weights_hash}};
  write_json(object);
}

struct Run {
  Settings settings;
  std::string save, out;
  float rate = 3e-3f;

  int operator()() const {
    if (settings.list) return show_list();
    LabSettings wanted = settings.wanted();
    wanted.learning_rate = rate;
    LabOptions options = settings.options();
    options.save = save;
    if (!save.empty()) require_writable(save);
    const SignalGuard guard;
    ProgressBar bar(ProgressBar::Unit::kCount, settings.quiet);
    const LabRun run = run_lab(wanted, options, progress_of(bar));
    bar.wipe();
    if (!out.empty()) write_lab_run(run, out);
    if (settings.json) {
      print_json(run);
      return kDone;
    }
    if (!settings.quiet) {
      for (const LabPoint& p : run.points) {
        if (p.accuracy >= 0)
          write_out(fmt::format("step {:>6}  loss {:.4f}  accuracy {:6.2f} %\n", p.step, p.loss, 100 * p.accuracy));
      }
    }
    print_run(run);
    return kDone;
  }
};

struct Compare {
  Settings settings;
  std::string kinds = "dot,gram,gram-normed,dot-matched,expressive,squared-cosine", rates = "3e-3", out;
  int seeds = 5;

  int operator()() const {
    if (settings.list) return show_list();
    if (out.empty()) throw Error(ErrorKind::kUsage, "--out DIR is missing", {}, "--out comparison");
    LabComparison wanted;
    wanted.settings = settings.wanted();
    wanted.kinds = parts_of(kinds);
    for (const std::string& rate : parts_of(rates))
      wanted.learning_rates.push_back(parse_number(rate, 1e-9f, 1e3f, "a learning rate of --lrs"));
    wanted.seeds = seeds;
    wanted.out = out;
    wanted.version = FIELDPRINT_VERSION;
    wanted.options = settings.options();
    const SignalGuard guard;
    ProgressBar bar(ProgressBar::Unit::kCount, settings.quiet);
    const std::vector<LabRun> runs = compare_lab(wanted, progress_of(bar));
    bar.wipe();
    for (const LabRun& run : runs) {
      if (settings.json) print_json(run);
      else print_run(run);
    }
    if (!settings.quiet) note(fmt::format("{0}/report.html and {0}/report.md say what came out", out));
    return kDone;
  }
};

struct Resilience {
  std::string out;
  int trials = LeakOptions().trials, seed = 1;
  bool table = false, quiet = false;

  int operator()() const {
    if (table) {
      write_out(fmt::format("{:<10} {:>10} {:>13}  {}\n", "Mag", "Dot(Q,K)", "Gram(Q,K,R)", "Result"));
      for (const ResilienceRow& row : resilience_table())
        write_out(fmt::format("{:<10} {:>10.4f} {:>13.4f}  {}\n", row.magnitude, row.dot, row.gram, row.result));
      return kDone;
    }
    LeakOptions options;
    options.trials = trials;
    options.seed = static_cast<uint64_t>(seed);
    const SignalGuard guard;
    ProgressBar bar(ProgressBar::Unit::kCount, quiet);
    const std::vector<LeakRow> leak = measure_leak(options, bar.callback());
    bar.wipe();
    write_out(resilience_report(leak, out));
    return kDone;
  }
};

}  // namespace

Action add_lab_run(CLI::App& app) {
  auto run = std::make_shared<Run>();
  add_choice(app, "--kind", run->settings.lab.kind, names_of(lab_kinds()), "The kind of attention")->group("Model");
  add_number(app, "--lr", run->rate, 1e-9f, 1e3f, "Learning rate of Adam")->group("Training");
  add_settings(app, run->settings);
  add_text(app, "--save", run->save, "FILE", "Write the trained model as GGUF, for `fieldprint run`")->group("Output");
  add_text(app, "--out", run->out, "DIR", "Write run.json, steps.csv and steps.jsonl there")->group("Output");
  app.footer(
      "  fieldprint lab run --kind gram --steps 500\n"
      "  fieldprint lab run --task text --text book.txt --layers 2 --residual --norm --ffn 256 --save tiny.gguf");
  return [run] { return (*run)(); };
}

Action add_lab_compare(CLI::App& app) {
  auto compare = std::make_shared<Compare>();
  add_text(app, "--kinds", compare->kinds, "KINDS", "The kinds, with commas; the first is what others are held against")
      ->group("Comparison");
  add_text(app, "--lrs", compare->rates, "RATES", "Learning rates, with commas; the best of each kind is reported")
      ->group("Comparison");
  add_integer(app, "--seeds", compare->seeds, 1, "Runs of each, with seeds from --seed on")->group("Comparison");
  add_text(app, "--out", compare->out, "DIR", "The folder of the report; runs that are done in it are not repeated")
      ->group("Comparison");
  add_settings(app, compare->settings);
  app.footer(
      "  fieldprint lab compare --out comparison\n"
      "  fieldprint lab compare --task induction --layers 2 --residual --norm --lrs 1e-3,3e-3,1e-2 --out induction");
  return [compare] { return (*compare)(); };
}

Action add_lab_resilience(CLI::App& app) {
  auto resilience = std::make_shared<Resilience>();
  add_flag(app, "--table", resilience->table, "The published table alone");
  add_text(app, "--out", resilience->out, "DIR", "Write the report and its pictures there")->group("Output");
  add_integer(app, "--trials", resilience->trials, 1, "Draws of random keys");
  add_integer(app, "--seed", resilience->seed, 0, "Seed of the draws");
  add_quiet(app, resilience->quiet);
  return [resilience] { return (*resilience)(); };
}

std::span<const Command> lab_actions() {
  static constexpr Command kActions[] = {
      {"run", "Lab", "Train one model on a task", add_lab_run},
      {"compare", "Lab", "Train kinds of attention side by side and report what came out", add_lab_compare},
      {"resilience", "Lab", "Show what keys that point nowhere do to each kind of score", add_lab_resilience},
  };
  return kActions;
}

}  // namespace fieldprint::cli
