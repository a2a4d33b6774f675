// `fieldprint train`: a model learns from JSON lines.
#include "fieldprint/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Train {
  std::string model, template_file;
  TrainOptions options;
  LoadOptions load;
  int documents = 8, accumulate = 1;
  bool dry_run = false, json = false, quiet = false;
  int operator()() const;
};

constexpr size_t kLines = 50;  // that a log gets of a training, where there is no terminal

std::string time_text(double seconds) {
  const auto all = static_cast<int64_t>(std::llround(seconds));
  return all >= 3600 ? fmt::format("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60)
                     : fmt::format("{}:{:02}", all / 60, all % 60);
}

uint64_t unsigned_of(int64_t count) { return static_cast<uint64_t>(std::max(int64_t{0}, count)); }

std::string share_text(double part, double whole) { return fmt::format("{:.1f}%", whole > 0 ? 100 * part / whole : 0); }

// ---- What the data is

std::string data_text(const TrainData& data) {
  std::string text =
      fmt::format("{}: {} of {}, {}, {} of them learned ({}){}\n", printable_line(data.path),
                  counted(unsigned_of(data.documents), "document"), counted(unsigned_of(data.rows), "row"),
                  counted(unsigned_of(data.tokens), "token"), data.learned,
                  share_text(static_cast<double>(data.learned), static_cast<double>(data.tokens)),
                  data.cached ? ", from the cache" : "");
  for (const auto& fault : data.faults) {
    text += fmt::format("  left out: {} {} (line {}: {})\n", counted(unsigned_of(fault.rows), "row"), fault.name,
                        fault.first, printable_line(fault.detail));
  }
  const auto add = [&](int64_t count, const char* thing, const char* what) {
    if (count > 0) text += fmt::format("  {} {}\n", counted(unsigned_of(count), thing), what);
  };
  add(data.truncated, "document", "too long: the end is cut off (--batch-tokens)");
  add(data.thoughts_dropped, "turn", "with a thought that the chat template does not write");
  add(data.thoughts_unopened, "turn", "learned without the thought that the chat template opens");
  add(data.teacher, "row", "of a teacher's");
  add(data.foreign_prompts, "prompt",
      "as the teacher's chat template writes it, which is another one than the student's");
  add(data.ended_by_eos, "turn", "that the chat template does not end: EOS stands there");
  if (data.exact > 0)
    text += fmt::format("  {} as one before (first: lines {} and {})\n", counted(unsigned_of(data.exact), "document"),
                        data.exact_first, data.exact_second);
  if (data.near > 0)
    text += fmt::format("  {} nearly as one before (first: lines {} and {})\n",
                        counted(unsigned_of(data.near), "document"), data.near_first, data.near_second);
  return text;
}

std::string plan_text(const TrainPlan& plan) {
  std::string text = data_text(plan.train);
  if (plan.eval) text += data_text(*plan.eval);
  text += plan.held_out == 0
              ? "nothing is held out: there is no loss but that of what is learned from\n"
              : fmt::format("{} held out{}\n", counted(unsigned_of(plan.held_out), "document"),
                            plan.eval_in_train > 0
                                ? fmt::format(", {} of them nearly as one that is learned from", plan.eval_in_train)
                                : "");
  text += fmt::format("{} trained ({} of the model), {} ({} an epoch), learning rate {:g}\n",
                      count_text(unsigned_of(plan.trained)) + " values", share_text(plan.trained_share, 1),
                      counted(unsigned_of(plan.steps), "step"), plan.steps_per_epoch, plan.learning_rate);
  const TrainMemory& m = plan.memory;
  text += fmt::format("memory: {} (weights {}, trained values {}, gradients {}, moments {}, activations {}{}){}\n",
                      bytes_text(m.total()), bytes_text(m.weights), bytes_text(m.parameters), bytes_text(m.gradients),
                      bytes_text(m.moments), bytes_text(m.activations),
                      m.data > 0 ? fmt::format(", the teacher's probabilities {}", bytes_text(m.data)) : "",
                      m.available > 0 ? fmt::format(", {} left", bytes_text(m.available)) : "");
  return text;
}

nlohmann::ordered_json data_json(const TrainData& data) {
  nlohmann::ordered_json faults = nlohmann::ordered_json::array();
  for (const auto& fault : data.faults)
    faults.push_back({{"rows", fault.rows}, {"why", fault.name}, {"line", fault.first}, {"detail", fault.detail}});
  return {{"path", data.path},       {"rows", data.rows},     {"documents", data.documents}, {"tokens", data.tokens},
          {"learned", data.learned}, {"turns", data.turns},   {"truncated", data.truncated}, {"exact", data.exact},
          {"near", data.near},       {"cached", data.cached}, {"teacher", data.teacher},     {"left_out", faults}};
}

nlohmann::ordered_json plan_json(const TrainPlan& plan) {
  const TrainMemory& m = plan.memory;
  nlohmann::ordered_json object = {{"data", data_json(plan.train)}};
  if (plan.eval) object["eval_data"] = data_json(*plan.eval);
  object.update({{"held_out", plan.held_out},
                 {"steps", plan.steps},
                 {"steps_per_epoch", plan.steps_per_epoch},
                 {"warmup", plan.warmup},
                 {"learning_rate", plan.learning_rate},
                 {"trained", plan.trained},
                 {"memory",
                  {{"total", m.total()},
                   {"weights", m.weights},
                   {"parameters", m.parameters},
                   {"gradients", m.gradients},
                   {"moments", m.moments},
                   {"data", m.data},
                   {"activations", m.activations},
                   {"available", m.available}}}});
  return object;
}

// Rows with what is learned of them in green; between ⟦ and ⟧ where there are no colours.
void show_rows(const Training& training) {
  const bool styles = out_has_styles();
  write_out(styles ? "what is learned is green\n\n" : "what is learned stands between ⟦ and ⟧\n\n");
  for (const TrainRow& row : training.rows(3)) {
    write_out(
        fmt::format("line {}: {} of {} learned\n", row.line, row.learned, counted(unsigned_of(row.tokens), "token")),
        Style::kBold);
    for (const auto& piece : row.pieces) {
      if (!piece.learned) write_out(piece.text, Style::kDim);
      else if (styles) write_out(piece.text, Style::kGreen);
      else write_out("⟦" + piece.text + "⟧");
    }
    write_out("\n\n");
  }
}

// ---- While it runs

class Display {
 public:
  Display(int64_t steps, bool quiet) : steps_(steps), quiet_(quiet), bar_(ProgressBar::Unit::kCount, quiet) {}

  bool step(const TrainPoint& point) {
    const std::string parts[] = {
        fmt::format("loss {:.4f}", point.mean_loss), fmt::format("{:.0f} tokens/s", point.tokens_per_second),
        fmt::format("lr {:.2e}", point.learning_rate), fmt::format("norm {:.3f}", point.norm),
        fmt::format("{} learned", share_text(static_cast<double>(point.learned), static_cast<double>(point.tokens)))};
    // On a terminal as much as leaves room for the bar's own figures: step, percent, time left.
    const size_t room = err_is_terminal() ? static_cast<size_t>(std::max(0, terminal_width() - 48)) : std::string::npos;
    std::string line;
    for (const std::string& part : parts) {
      if (line.size() + part.size() + 2 > room) break;
      line += (line.empty() ? "" : "  ") + part;
    }
    const auto place = fmt::format("step {}/{}", point.step, steps_);
    const bool go_on = bar_.update("steps", unsigned_of(point.step), unsigned_of(steps_), line);
    const auto lines = static_cast<size_t>(point.step * static_cast<int64_t>(kLines) / std::max(int64_t{1}, steps_));
    if (!quiet_ && !err_is_terminal() && (lines > told_ || point.step == 1)) {
      told_ = lines;
      write_err(fmt::format("{}  {}  {} left\n", place, line, time_text(point.seconds_left)));
    }
    if (!quiet_ && (point.eval_loss || point.skipped)) {
      bar_.wipe();
      if (point.skipped) write_err(fmt::format("{}  skipped: loss or gradient is not finite\n", place));
      if (point.eval_loss)
        write_err(fmt::format("{}  held-out loss {:.4f}, {:.1f}% right{}\n", place, *point.eval_loss,
                              100 * *point.eval_accuracy, point.best ? ", the best so far" : ""));
    }
    return go_on && !interrupted();
  }
  ProgressBar& bar() { return bar_; }

 private:
  int64_t steps_;
  bool quiet_;
  size_t told_ = 0;
  ProgressBar bar_;
};

void tell_result(const TrainResult& result, const std::string& out) {
  std::string text = fmt::format("{} in {}", counted(unsigned_of(result.step), "step"), time_text(result.seconds));
  if (result.end == TrainEnd::kPatience) text += ", ended early: the held-out loss got no better";
  if (result.skipped > 0) text += fmt::format(", {} skipped", result.skipped);
  if (result.eval_best) {
    if (result.eval_before)
      text += fmt::format("; held-out loss {:.4f} -> {:.4f}", *result.eval_before, *result.eval_best);
    else text += fmt::format("; held-out loss {:.4f}", *result.eval_best);
    text += fmt::format(" (step {})", result.best_step);
  }
  note(text);
  for (const std::string& file : result.files) write_err(fmt::format("  {}\n", file));
  write_err(fmt::format("  {}/loss.svg, log.csv, log.jsonl\n", out));
  for (size_t layer = 0; layer < result.idle_experts.size(); ++layer) {
    const int idle = result.idle_experts[layer];
    if (idle > 0)
      note(fmt::format("{} of mixture {} {} not chosen at the end: a higher --expert-balance may help",
                       counted(unsigned_of(idle), "expert"), layer + 1, idle == 1 ? "was" : "were"));
  }
}

int Train::operator()() const {
  if (options.data.empty() || options.out.empty()) {
    throw Error(ErrorKind::kUsage, options.data.empty() ? "which data?" : "into which folder?", {},
                "`fieldprint train MODEL --data FILE.jsonl --out FOLDER`");
  }
  TrainOptions wanted = options;
  wanted.documents = int64_t{documents} * accumulate;
  wanted.threads = load.threads, wanted.isa = load.isa;
  if (!template_file.empty()) wanted.template_source = read_file(template_file);
  const SignalGuard guard;
  Training training(model_path(model), wanted);
  const TrainPlan& plan = training.plan();
  if (dry_run) {
    if (!json) {
      show_rows(training);
      write_out(plan_text(plan));
      flush_out();
    }
    const double seconds = training.measure();
    if (json) {
      auto object = plan_json(plan);
      object["seconds"] = seconds;
      write_json(object);
    } else {
      write_out(fmt::format("time: about {} for {}, measured on one micro-batch\n", time_text(seconds),
                            counted(unsigned_of(plan.steps), "step")));
    }
    return kDone;
  }
  if (!quiet) write_err(plan_text(plan), Style::kDim);
  Display display(plan.steps, quiet);
  const TrainResult result =
      training.run([&](const TrainPoint& point) { return display.step(point); }, display.bar().callback());
  display.bar().wipe();
  if (result.end == TrainEnd::kStopped) {
    note(fmt::format("stopped after step {} of {}; its checkpoint is {}", result.step, plan.steps, result.checkpoint));
    write_err("hint: the same command with --resume goes on to the same result\n");
    throw Interrupted{};
  }
  if (json) {
    nlohmann::ordered_json object = plan_json(plan);
    object.update({{"step", result.step},
                   {"skipped", result.skipped},
                   {"best_step", result.best_step},
                   {"seconds", result.seconds},
                   {"files", result.files}});
    if (result.eval_before) object["eval_before"] = *result.eval_before;
    if (result.eval_best) object["eval_best"] = *result.eval_best;
    write_json(object);
  }
  if (!quiet) tell_result(result, options.out);
  return kDone;
}

// parse_number() is of float32, and 2e-4 would be another number in a log.
CLI::Option* add_real(CLI::App& app, const std::string& name, double& target, float least, float most,
                      const std::string& about) {
  return add_value(app, name, "X", about,
                   [&target, least, most, name](const std::string& text) {
                     parse_number(text, least, most, name);
                     target = std::strtod(text.c_str(), nullptr);
                   })
      ->default_str(fmt::format("{:g}", target));
}

CLI::Option* add_count(CLI::App& app, const std::string& name, int64_t& target, int64_t least,
                       const std::string& about) {
  return add_value(app, name, "N", about,
                   [&target, least, name](const std::string& text) {
                     target = parse_integer(text, least, std::numeric_limits<int32_t>::max(), name);
                   })
      ->default_str(target < 0 ? "" : std::to_string(target));
}

}  // namespace

Action add_train(CLI::App& app) {
  auto train = std::make_shared<Train>();
  TrainOptions& o = train->options;
  add_text(app, "MODEL", train->model, "MODEL", "The model: a name or a GGUF file of any types");
  add_text(app, "--data", o.data, "FILE", "What to learn: JSON lines, or a plain text (*.txt, *.md)");
  add_text(app, "-o,--out", o.out, "DIR", "Folder for adapter or model, checkpoints, logs and the loss curve");

  const std::string data = "Data";
  add_text(app, "--eval-data", o.eval_data, "FILE", "JSON lines to hold the model against, in place of --eval-share")
      ->group(data);
  add_real(app, "--eval-share", o.eval_share, 0, 0.99f, "Share of the data that is held out")->group(data);
  add_text(app, "--template", train->template_file, "FILE", "A Jinja chat template in place of the model's")
      ->group(data);
  add_choice(
      app, "--learn", o.learn, {"answer", "trace", "ids", "top-k"},
      "Of a teacher's rows (`fieldprint distil`): its answer; thought and answer; what it wrote, token by token; "
      "its probabilities there")
      ->group(data);
  add_flag(app, "--raw", o.raw, "Prompts and completions that are texts get no chat template")->group(data);
  add_flag(app, "--special-tokens", o.specials, "Texts outside of conversations may name control tokens")->group(data);
  add_flag(app, "--strict", o.strict, "A faulty row is an error")->group(data);

  const std::string what = "What is trained";
  add_flag(app, "--full", o.full, "All weights, in float32; else an adapter")->group(what);
  add_integer(app, "--lora-rank", o.rank, 1, "Rank of the adapter's matrices")->group(what);
  add_number(app, "--lora-alpha", o.alpha, 1e-3f, 1e6f, "What it adds is scaled by alpha / rank")->group(what);
  add_texts(
      app, "--target", o.targets, "PATTERN",
      "What gets an adapter: attention, conv, ffn, experts, router, all, or a glob over tensor names (repeatable)")
      ->group(what);
  add_text(app, "--merge", o.merge, "TYPE",
           "Write model.gguf of this type too, with the adapter in it; with --full, in "
           "place of the types that the model has")
      ->group(what);

  const std::string how = "Training";
  add_choice(app, "--optimizer", o.optimizer, {"adamw", "sgd"}, "What makes steps of gradients")->group(how);
  add_real(app, "--lr", o.learning_rate, 0, 1e3f, "Learning rate; 0 = 2e-4, with --full 2e-5")->group(how);
  add_choice(app, "--schedule", o.schedule, {"cosine", "linear", "constant"}, "How it goes on after the warm-up")
      ->group(how);
  add_count(app, "--warmup", o.warmup, 0, "Steps in which it rises; else a twentieth of all")->group(how);
  add_real(app, "--epochs", o.epochs, 1e-6f, 1e6f, "How often the data is gone through")->group(how);
  add_count(app, "--steps", o.steps, 0, "Steps, in place of --epochs; 0 = as these say")->group(how);
  add_integer(app, "--batch", train->documents, 1, "Documents a step")->group(how);
  add_integer(app, "--accumulate", train->accumulate, 1, "So many times as many; memory stays the same")->group(how);
  add_count(app, "--batch-tokens", o.micro_tokens, 2,
            "Tokens that pass the model together, at most: memory grows with them")
      ->group(how);
  add_real(app, "--clip", o.clip, 0, 1e6f, "Most of the gradient's norm; 0 = any")->group(how);
  add_number(app, "--kl-share", o.kl_share, 0, 1,
             "With --learn top-k: share of the divergence from the teacher in the loss; the rest is of its tokens")
      ->group(how);
  add_real(app, "--weight-decay", o.weight_decay, 0, 1, "Of matrices, not of norms and biases")->group(how);
  add_value(app, "--expert-balance", "X",
            "What experts cost that are chosen more often than others; else 0.01 with --full, 0 for adapters",
            [&o](const std::string& text) {
              parse_number(text, 0, 1e3f, "--expert-balance");
              o.expert_balance = std::strtod(text.c_str(), nullptr);
            })
      ->group(how);
  add_value(app, "--seed", "N", "Of the order of the data, of what is held out, and of a new adapter",
            [&o](const std::string& text) {
              o.seed = static_cast<uint64_t>(parse_integer(text, 0, std::numeric_limits<int64_t>::max(), "--seed"));
            })
      ->default_str("1")
      ->group(how);

  const std::string when = "Checkpoints";
  add_count(app, "--eval-every", o.eval_every, 0, "Steps between looks at the held-out data; 0 = ten looks")
      ->group(when);
  add_count(app, "--checkpoint-every", o.save_every, 0, "Steps between checkpoints; 0 = as --eval-every")->group(when);
  add_integer(app, "--keep", o.keep, 1, "Checkpoints that are kept, beside the best")->group(when);
  add_integer(app, "--patience", o.patience, 0, "End after so many looks that are no better; 0 = never")->group(when);
  add_flag(app, "--resume", o.resume, "Go on from the newest checkpoint in --out")->group(when);

  add_flag(app, "--dry-run", train->dry_run, "Show three rows with their mask, the steps, and time and memory needed");
  add_flag(app, "--json", train->json, "One JSON object")->group("Output");
  add_quiet(app, train->quiet);
  add_threads(app, train->load);
  app.footer(
      "  fieldprint train smollm2-135m --data rows.jsonl --out mine --dry-run\n"
      "  fieldprint train smollm2-135m --data rows.jsonl --out mine --epochs 3\n"
      "  fieldprint run -m smollm2-135m --lora mine/adapter.gguf \"Hello\"\n"
      "  fieldprint train q4.gguf --data rows.jsonl --out mine --merge Q8_0");
  return [train] { return (*train)(); };
}

}  // namespace fieldprint::cli
