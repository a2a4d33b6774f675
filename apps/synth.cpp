// `fieldprint synth`: a model of a known shape with random weights.
#include "fieldprint/synth.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Synth {
  std::string preset, out;  // PRESET or PRESET:TYPE
  SynthOptions options;
  LoadOptions load;
  int seed = 1;
  bool dry_run = false, list = false, json = false, quiet = false;
  int operator()() const;
};

std::string total_text(const SynthPlan& plan) {
  return fmt::format("{}, {} weights, {}, {:.3f} bits a weight", counted(plan.tensors.size(), "tensor"),
                     count_text(plan.elements), bytes_text(plan.bytes), plan.bits_per_weight());
}

void print_json(const SynthPlan& plan) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const auto& tensor : plan.tensors) {
    tensors.push_back({{"name", tensor.name}, {"shape", tensor.shape}, {"type", tensor.type}, {"bytes", tensor.bytes}});
  }
  const nlohmann::ordered_json object = {{"tensors", tensors},
                                         {"bytes", plan.bytes},
                                         {"weights", plan.elements},
                                         {"bits_per_weight", plan.bits_per_weight()}};
  write_json(object);
}

void print_plan(const SynthPlan& plan) {
  for (const auto& tensor : plan.tensors) {
    write_out(fmt::format("{:<40} {:>20}  {:<8} {:>11}\n", tensor.name,
                          fmt::format("{}", fmt::join(tensor.shape, " x ")), tensor.type, bytes_text(tensor.bytes)));
  }
  write_out(total_text(plan) + "\n");
}

int Synth::operator()() const {
  if (list) {
    for (const auto& one : synth_presets()) write_out(fmt::format("{:<14}  {}\n", one.name, one.about));
    return kDone;
  }
  if (preset.empty() || (out.empty() && !dry_run)) {
    throw Error(ErrorKind::kUsage, preset.empty() ? "which preset?" : "to which file?", {},
                "`fieldprint synth PRESET:TYPE OUT`; --list shows the presets");
  }
  SynthOptions wanted = options;
  const size_t colon = preset.find(':');
  wanted.preset = preset.substr(0, colon);
  if (colon != std::string::npos) wanted.mix = preset.substr(colon + 1);
  wanted.seed = static_cast<uint64_t>(seed);
  wanted.threads = load.threads;
  if (dry_run) {
    const auto plan = plan_synth(wanted);
    if (json) print_json(plan);
    else print_plan(plan);
    return kDone;
  }
  const SignalGuard guard;
  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar(ProgressBar::Unit::kBytes, quiet);
  const auto plan = synth(out, wanted, bar.callback());
  bar.wipe();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (json) print_json(plan);
  if (!quiet) {
    note(fmt::format("{}, {:.1f} s, {:.0f} MB/s", total_text(plan), seconds.count(),
                     static_cast<double>(plan.bytes) / 1e6 / seconds.count()));
  }
  return kDone;
}

}  // namespace

Action add_synth(CLI::App& app) {
  auto synth = std::make_shared<Synth>();
  std::string names;  // as choices, for completion
  for (const auto& one : synth_presets()) names += fmt::format("{}{}", names.empty() ? "" : "|", one.name);
  add_text(app, "PRESET", synth->preset, names,
           "PRESET or PRESET:TYPE; --list shows the presets, `quantize --list` the types [Q4_K_M]");
  add_text(app, "OUT", synth->out, "FILE", "The file to write; an old one is replaced when the new one is complete");
  add_text(app, "--vocab", synth->options.vocabulary, "FILE",
           "Take the tokenizer and chat template of a GGUF file; without it each byte is a token");
  add_text(app, "--attention-kind", synth->options.attention_kind, "KIND",
           "The kind of attention of its layers: dot, gram, gram_key, anchored, expressive [the preset's]");
  add_integer(app, "--seed", synth->seed, 0, "Seed of the random weights");
  add_flag(app, "--dry-run", synth->dry_run, "Only show each tensor's type and size");
  add_flag(app, "--list", synth->list, "Show the presets");
  add_flag(app, "--json", synth->json, "One JSON object")->group("Output");
  add_quiet(app, synth->quiet);
  add_threads(app, synth->load);
  app.footer(
      "  fieldprint synth lfm2-8b-a1b:Q6_K model.gguf\n"
      "  fieldprint synth lfm2-350m:Q8_0 model.gguf --vocab vocabulary.gguf\n"
      "  fieldprint synth lfm2-8b-a1b --dry-run");
  return [synth] { return (*synth)(); };
}

}  // namespace fieldprint::cli
