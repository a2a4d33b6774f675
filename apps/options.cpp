#include "options.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/quantize.h"
#include "files.h"
#include "output.h"
#include "signals.h"
#include "suggest.h"

namespace fieldprint::cli {

namespace {

constexpr const char* kModelGroup = "Model";
constexpr const char* kEngineGroup = "Engine";
constexpr const char* kOutputGroup = "Output";

Error wrong_value(std::string_view what, std::string_view wanted, std::string_view text) {
  return Error(ErrorKind::kUsage, fmt::format("{} must be {}, not '{}'", what, wanted, text));
}

std::string shown(const CLI::Option* option) {
  return option->nonpositional() ? "--" + long_name(*option) : option->get_name(true);
}

std::string shown_name(const std::string& names) {  // of "-n,--max-tokens": "--max-tokens"
  const size_t dashes = names.find("--");
  return dashes == std::string::npos ? names : names.substr(dashes, names.find(',', dashes) - dashes);
}

std::string between(const std::string& noun, float least, float most) {
  const float far = std::numeric_limits<float>::max();
  if (most < far) return fmt::format("{} from {} to {}", noun, least, most);
  return least > -far ? fmt::format("{} of at least {}", noun, least) : noun;
}

}  // namespace

std::string command_name(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  if (parent == nullptr) return {};
  const std::string before = command_name(*parent);
  return before.empty() ? app.get_name() : before + " " + app.get_name();
}

bool has_actions(const CLI::App& app) { return !app.get_subcommands({}).empty(); }

std::vector<const CLI::App*> all_commands(const CLI::App& app) {
  std::vector<const CLI::App*> all;
  for (const CLI::App* command : app.get_subcommands({})) {
    all.push_back(command);
    for (const CLI::App* action : all_commands(*command)) all.push_back(action);
  }
  return all;
}

int64_t parse_integer(std::string_view text, int64_t least, int64_t most, std::string_view what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most) return value;
  std::string wanted = "a whole number";
  if (least > std::numeric_limits<int32_t>::min()) wanted += fmt::format(" of at least {}", least);
  if (error == std::errc::result_out_of_range || value > most) wanted += fmt::format(" and at most {}", most);
  throw wrong_value(what, wanted, text);
}

float parse_number(std::string_view text, float least, float most, std::string_view what) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most)
    return value;  // no NaN
  throw wrong_value(what, between("a number", least, most), text);
}

bool is_optional(const CLI::Option& option) {
  return option.get_expected_min() == 0 && option.get_expected_max() > 0 && !option.get_type_name().empty();
}

bool is_flag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0 || (option.get_expected_min() == 0 && !is_optional(option));
}

bool is_repeatable(const CLI::Option& option) {
  return option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
}

std::string long_name(const CLI::Option& option) {
  return option.get_lnames().empty() ? std::string() : option.get_lnames().front();
}

CLI::Option* add_list(CLI::App& app, const std::string& names, const std::string& type, const std::string& about,
                      std::function<void()> reset, std::function<void(const std::string&)> push) {
  const CLI::App* parser = &app;
  auto* option = app.add_option(
      names, CLI::callback_t([reset = std::move(reset), push = std::move(push)](const CLI::results_t& values) {
        reset();
        for (const auto& value : values) push(value);
        return true;
      }),
      about);
  option->type_name(type)->take_all();
  if (option->nonpositional()) {
    // `--system --json` is a forgotten value, not a system prompt.
    option->each([parser, option](const std::string& value) {
      if (value.size() > 2 && value.starts_with("--") && parser->get_option_no_throw(value) != nullptr)
        throw Error(ErrorKind::kUsage, fmt::format("{} needs a value, but {} follows", shown(option), value));
    });
  }
  return option;
}

CLI::Option* add_value(CLI::App& app, const std::string& names, const std::string& type, const std::string& about,
                       std::function<void(const std::string&)> set) {
  return add_list(
             app, names, type, about, [] {}, std::move(set))
      ->take_last();
}

CLI::Option* add_flag(CLI::App& app, const std::string& names, bool& target, const std::string& about) {
  return app.add_flag(names, target, about)->take_last();
}

CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& target, const std::string& type,
                      const std::string& about) {
  auto* option = add_value(app, names, type, about, [&target](const std::string& value) { target = value; });
  return option->default_str(target);
}

CLI::Option* add_texts(CLI::App& app, const std::string& names, std::vector<std::string>& target,
                       const std::string& type, const std::string& about) {
  return add_list(
      app, names, type, about, [&target] { target.clear(); },
      [&target](const std::string& value) { target.push_back(value); });
}

CLI::Option* add_optional(CLI::App& app, const std::string& names, std::string& target, const std::string& otherwise,
                          const std::string& type, const std::string& about) {
  return add_value(app, names, type, about,
                   [&target, otherwise](const std::string& value) { target = value.empty() ? otherwise : value; })
      ->expected(0, 1);
}

CLI::Option* add_choice(CLI::App& app, const std::string& names, std::string& target,
                        const std::vector<std::string>& choices, const std::string& about) {
  const std::string all = fmt::format("{}", fmt::join(choices, "|"));
  auto* option = add_value(app, names, all, about, [&target, choices, names](const std::string& value) {
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      const std::string flag = shown_name(names);
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} must be one of {}, not '{}'", flag, fmt::join(choices, ", "), value), {},
                  did_you_mean(value, choices, ""));
    }
    target = value;
  });
  return option->default_str(target);
}

CLI::Option* add_integer(CLI::App& app, const std::string& names, int& target, int least, const std::string& about) {
  const std::string flag = shown_name(names);
  auto* option = add_value(app, names, "N", about, [&target, least, flag](const std::string& value) {
    target = static_cast<int>(parse_integer(value, least, std::numeric_limits<int>::max(), flag));
  });
  return option->default_str(std::to_string(target));
}

CLI::Option* add_number(CLI::App& app, const std::string& names, float& target, float least, float most,
                        const std::string& about) {
  const std::string flag = shown_name(names);
  auto* option = add_value(app, names, "X", about, [&target, least, most, flag](const std::string& value) {
    target = parse_number(value, least, most, flag);
  });
  return option->default_str(fmt::format("{}", target));
}

void add_model(CLI::App& app, std::string& model, std::string_view default_model) {
  add_text(app, "-m,--model", model, "MODEL", "A name from `fieldprint models`, owner/repo:file, or a GGUF file")
      ->default_str(std::string(default_model))
      ->group(kModelGroup);
}

void add_context(CLI::App& app, SessionOptions& options) {
  add_integer(app, "-c,--context", options.context, 0,
              "Most tokens of prompt and answer together; 0 = what the model was trained for")
      ->group(kModelGroup);
}

void add_threads(CLI::App& app, LoadOptions& options) {
  add_integer(app, "-t,--threads", options.threads, 0,
              "Number of threads; 0 = one per core (does not change the answer)")
      ->group(kEngineGroup);
  add_choice(app, "--isa", options.isa, {"scalar", "avx2", "avx512"},
             "Instruction set, if not the best of this CPU (does not change the answer)")
      ->group(kEngineGroup);
}

void add_experts(CLI::App& app, LoadOptions& options) {
  add_integer(app, "--experts", options.experts, 0,
              "Active experts per token, for a mixture of experts; 0 = as the model was trained")
      ->group(kModelGroup);
  add_text(app, "--attention-kind", options.attention_kind, "KIND",
           "Refuse a model whose attention is not of this kind: dot, gram, gram_key, anchored, expressive")
      ->group(kModelGroup);
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

AdapterFile parse_adapter(const std::string& text) {
  const size_t equals = text.rfind('=');
  std::error_code error;
  if (equals == std::string::npos || std::filesystem::exists(text, error)) return {text};
  constexpr float kMost = std::numeric_limits<float>::max();
  return {text.substr(0, equals), parse_number(text.substr(equals + 1), -kMost, kMost, "the scale of --lora")};
}

void add_adapters(CLI::App& app, LoadOptions& options) {
  add_list(
      app, "--lora", "FILE[=SCALE]",
      "Add this LoRA adapter to the model's weights, a GGUF file or what PEFT saves, times SCALE (repeatable)",
      [&options] { options.adapters.clear(); },
      [&options](const std::string& text) { options.adapters.push_back(parse_adapter(text)); })
      ->group(kModelGroup);
}

void add_executor(CLI::App& app, SessionOptions& options) {
  add_choice(app, "--executor", options.executor, executor_names(),
             "run is the fast one; reference computes in float64, slowly")
      ->group(kEngineGroup);
  add_integer(app, "--chunk", options.chunk, 0,
              "Prompt tokens per step; 0 = what is fastest (does not change the answer)")
      ->group(kEngineGroup);
  add_integer(app, "--page-size", options.page_size, 1,
              "Tokens per page of keys and values (does not change the answer)")
      ->group(kEngineGroup);
  add_choice(app, "--kv-type", options.kv_type, {"f16", "bf16", "q8_0", "f32"},
             "How keys and values are stored: q8_0 needs half the memory and is fastest in long contexts, f32 is exact")
      ->group(kEngineGroup);
}

void add_speculation(CLI::App& app, ModelOptions& options) {
  Speculation& speculation = options.session.speculation;
  speculation.drafts = "auto";  // the answer is the same, and what it may lose is bounded
  std::vector<std::string> choices = {"off", "auto"};
  for (std::string& name : draft_names()) choices.push_back(std::move(name));
  add_choice(app, "--speculate", speculation.drafts, choices,
             "Guess tokens and check several in one step (does not change the answer): auto = while it pays")
      ->group(kEngineGroup);
  add_text(app, "--draft,--model-draft", options.draft_model, "MODEL",
           "Guess with this model of the same vocabulary (does not change the answer)")
      ->group(kEngineGroup);
  add_integer(app, "--draft-max", speculation.max_tokens, 1, "Tokens guessed at a time at most")->group(kEngineGroup);
}

void load_draft(ModelOptions& options) {
  Speculation& speculation = options.session.speculation;
  if (options.draft_model.empty() || speculation.drafts == "off") return;
  LoadOptions load = options.load;
  load.adapters.clear();  // they are the other model's
  speculation.model = load_model(model_path(options.draft_model), load);
}

void add_quiet(CLI::App& app, bool& quiet) {
  add_flag(app, "-q,--quiet", quiet, "No run line and no progress on stderr")->group(kOutputGroup);
}

static bool is_here(const std::string& name) {
  try {
    resolve_model(name);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string fetch_model(const std::string& name, bool quiet) {
  const CatalogEntry* entry = find_catalog_entry(name);
  if (entry != nullptr && !is_here(name)) {
    if (!entry->terms.empty())
      note(fmt::format("{} comes under its own terms ({}): {}", name, entry->licence, entry->terms));
    if (!quiet) note(fmt::format("{} takes up to {} in {}", name, bytes_text(pull_space(*entry)), models_directory()));
  }
  ProgressBar bar(ProgressBar::Unit::kBytes, quiet);
  return pull_model(
      name, bar.callback(),
      [](const std::string& folder, const std::string& out, const std::string& type, const Progress& progress) {
        QuantizeOptions options;
        options.mix = type;
        quantize(folder, out, options, progress);
      });
}

static std::string fetch_asked(const std::string& name, const Error& missing) {
  const CatalogEntry* entry = find_catalog_entry(name);
  const uint64_t bytes = entry == nullptr ? 0 : std::max(entry->file_bytes(), entry->roughly_bytes);
  std::string size = bytes == 0 ? std::string() : fmt::format(" ({})", bytes_text(bytes));
  if (entry != nullptr && !entry->terms.empty()) size += fmt::format(", under its terms at {}", entry->terms);
  const char answer = ask(fmt::format("{} is not on this machine yet. Fetch it now{}? [Y/n] ", name, size));
  if (answer != 'y' && answer != '\n') throw missing;
  const SignalGuard guard;
  return fetch_model(name, false);
}

std::string model_path(const std::string& name) {
  const std::string wanted = name.empty() ? std::string(kDefaultModel) : name;
  try {
    return resolve_model(wanted);
  } catch (const Error& missing) {
    const bool known = missing.kind() == ErrorKind::kNotFound && missing.hint() == "fieldprint pull " + wanted;
    if (!known || !in_is_terminal() || !err_is_terminal()) throw;
    return fetch_asked(wanted, missing);
  }
}

bool is_model_name(const std::string& text) { return find_catalog_entry(text) != nullptr || text.ends_with(".gguf"); }

std::string model_title(const ModelInfo& info) {
  if (const CatalogEntry* entry = find_catalog_entry(info.path)) return std::string(entry->name);
  return info.name.empty() ? std::filesystem::path(info.path).stem().string() : info.name;
}

void show_warnings(const ModelInfo& info) {
  for (const std::string& warning : info.warnings) note(warning);
}

std::shared_ptr<const Model> load_model(const std::string& path, const LoadOptions& options) {
  auto model = Model::load(path, options);
  show_warnings(model->info());
  cpu_set_t cores;
  const int wanted = options.threads > 0                                 ? options.threads
                     : ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores)
                                                                         : 1;
  if (model->threads() < wanted) {
    note(fmt::format("only {} of {} threads could be started (a limit of processes or memory); the answer is the same",
                     model->threads(), wanted));
  }
  return model;
}

std::shared_ptr<const Model> load_model(const ModelOptions& options) {
  return load_model(model_path(options.model), options.load);
}

}  // namespace fieldprint::cli
