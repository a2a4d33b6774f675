// A subcommand: a function that puts its flags on an app and returns what it does once they are set.
// To add one: one file that defines add_NAME, one row in the table of main.cpp. A command of many actions, such as
// `fieldprint memory add`, has a table of its own in place of a function (memory/actions.h).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>

namespace fieldprint::cli {

// Exit codes of the program.
inline constexpr int kDone = 0;
inline constexpr int kOurFault = 1;
inline constexpr int kUserFault = 2;

using Action = std::function<int()>;  // returns an exit code; throws Error for what the user can mend

struct Command {
  const char* name;
  const char* group;
  const char* about;
  Action (*add)(CLI::App&);  // nullptr where there are actions
  std::span<const Command> (*actions)() = nullptr;
};

Action add_run(CLI::App& app);
Action add_chat(CLI::App& app);
Action add_serve(CLI::App& app);
Action add_replay(CLI::App& app);
Action add_info(CLI::App& app);
Action add_pull(CLI::App& app);
Action add_models(CLI::App& app);
Action add_rm(CLI::App& app);
Action add_quantize(CLI::App& app);
Action add_merge(CLI::App& app);
Action add_synth(CLI::App& app);
Action add_imatrix(CLI::App& app);
Action add_train(CLI::App& app);
Action add_embed(CLI::App& app);
Action add_tokenize(CLI::App& app);
Action add_detokenize(CLI::App& app);
Action add_template(CLI::App& app);
Action add_logits(CLI::App& app);
Action add_perplexity(CLI::App& app);
Action add_eval(CLI::App& app);
Action add_observe(CLI::App& app);
Action add_bench(CLI::App& app);
Action add_completion(CLI::App& app);

}  // namespace fieldprint::cli
