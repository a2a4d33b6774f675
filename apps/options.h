// Flags: one helper a kind, so that every value is checked and refused in the same words, and the groups of flags that
// several subcommands share. Type names say what completes a value: MODEL, FILE, or the choices as "a|b|c".
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/catalog.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint::cli {

// Each shows the target's value at the time of the call as the default. `names` as CLI11 has them: "-n,--max-tokens".
CLI::Option* add_flag(CLI::App& app, const std::string& names, bool& target, const std::string& about);
CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& target, const std::string& type,
                      const std::string& about);
CLI::Option* add_texts(CLI::App& app, const std::string& names, std::vector<std::string>& target,
                       const std::string& type, const std::string& about);  // repeatable
CLI::Option* add_choice(CLI::App& app, const std::string& names, std::string& target,
                        const std::vector<std::string>& choices, const std::string& about);
CLI::Option* add_integer(CLI::App& app, const std::string& names, int& target, int least, const std::string& about);
CLI::Option* add_number(CLI::App& app, const std::string& names, float& target, float least, float most,
                        const std::string& about);
// A flag that may have a value: `target` is that, or `otherwise` where the flag stands alone.
CLI::Option* add_optional(CLI::App& app, const std::string& names, std::string& target, const std::string& otherwise,
                          const std::string& type, const std::string& about);
// Any value that `set` understands; it throws Error for what it does not.
CLI::Option* add_value(CLI::App& app, const std::string& names, const std::string& type, const std::string& about,
                       std::function<void(const std::string&)> set);
// Repeatable: `reset` once, then `push` for each value.
CLI::Option* add_list(CLI::App& app, const std::string& names, const std::string& type, const std::string& about,
                      std::function<void()> reset, std::function<void(const std::string&)> push);

bool is_flag(const CLI::Option& option);      // takes no value
bool is_optional(const CLI::Option& option);  // a value may follow or not: add_optional()
bool is_repeatable(const CLI::Option& option);
std::string long_name(const CLI::Option& option);  // "max-tokens"; "" where there is only a short one

// "memory add" of an action, "run" of a command, "" of the root; all below an app, those with actions before these.
std::string command_name(const CLI::App& app);
bool has_actions(const CLI::App& app);
std::vector<const CLI::App*> all_commands(const CLI::App& app);

// Whole numbers, checked; `what` begins the Error's sentence.
int64_t parse_integer(std::string_view text, int64_t least, int64_t most, std::string_view what);
float parse_number(std::string_view text, float least, float most, std::string_view what);

struct ModelOptions {
  std::string model;  // "" = the default model
  LoadOptions load;
  SessionOptions session;
  std::string draft_model;  // "" = none
};

void add_model(CLI::App& app, std::string& model, std::string_view default_model = kDefaultModel);  // -m, --model
void add_threads(CLI::App& app, LoadOptions& options);                                              // --threads, --isa
void add_executor(CLI::App& app, SessionOptions& options);   // --executor, --chunk, --page-size, --kv-type
void add_context(CLI::App& app, SessionOptions& options);    // --context
void add_experts(CLI::App& app, LoadOptions& options);       // --experts, --attention-kind
void add_adapters(CLI::App& app, LoadOptions& options);      // --lora
void add_speculation(CLI::App& app, ModelOptions& options);  // --speculate, --draft, --draft-max
void load_draft(ModelOptions& options);                      // where one is named: into session.speculation
void add_quiet(CLI::App& app, bool& quiet);

// Fetches a model by its name, with a bar on stderr, and says first what it takes and whose terms it comes under;
// returns its path. Throws as pull_model().
std::string fetch_model(const std::string& name, bool quiet);

void show_warnings(const ModelInfo& info);  // as notes

// Notes the file's warnings, and where fewer threads run than were wanted.
std::shared_ptr<const Model> load_model(const std::string& path, const LoadOptions& options);
std::shared_ptr<const Model> load_model(const ModelOptions& options);
std::vector<std::string> parts_of(const std::string& text);  // of a list with commas; empty ones are left out
AdapterFile parse_adapter(const std::string& text);          // FILE or FILE=SCALE
// "" = the default model. On a terminal, one that has a name and is not here yet is offered to be fetched.
std::string model_path(const std::string& name);
bool is_model_name(const std::string& text);  // of the catalogue, or a file that ends in .gguf
// What to call a model in pictures: its name in the catalogue, in its file, or that of its file.
std::string model_title(const ModelInfo& info);

}  // namespace fieldprint::cli
