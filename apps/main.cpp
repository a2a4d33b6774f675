// fieldprint, the program: the table of subcommands, how a command line becomes an action, and the edge at which every
// error turns into a sentence and an exit code.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <clocale>
#include <map>
#include <new>
#include <span>

#include "command.h"
#include "distil_actions.h"
#include "fieldprint/error.h"
#include "help.h"
#include "lab_actions.h"
#include "memory/actions.h"
#include "options.h"
#include "output.h"
#include "settings.h"
#include "signals.h"
#include "suggest.h"

namespace fieldprint::cli {

namespace {

constexpr Command kCommands[] = {
    {"run", "Talk", "Answer one prompt: the text on stdout, the speed on stderr", add_run},
    {"chat", "Talk", "Hold a conversation, with history and line editing", add_chat},
    {"serve", "Talk", "Serve a model over HTTP: the OpenAI API, and a page to talk with it", add_serve},
    {"memory", "Memory", "What agents remember: kept with its origin, promoted by signatures", nullptr, memory_actions},
    {"pull", "Models", "Download models and check them", add_pull},
    {"models", "Models", "List the models known by name and those on this machine", add_models},
    {"rm", "Models", "Remove models that were pulled", add_rm},
    {"info", "Models", "Show what is in a model file and how much memory it needs", add_info},
    {"quantize", "Models", "Convert a model to fewer bits per weight", add_quantize},
    {"merge", "Models", "Put adapters into a model's weights, as a file of its own", add_merge},
    {"synth", "Models", "Make a model of a given shape with random weights", add_synth},
    {"imatrix", "Models", "Measure on text which weights matter, for quantize", add_imatrix},
    {"embed", "Text", "Turn texts into vectors, with an encoder model", add_embed},
    {"tokenize", "Text", "Turn text into token ids", add_tokenize},
    {"detokenize", "Text", "Turn token ids into text", add_detokenize},
    {"template", "Text", "Render a chat template: JSON variables in, the prompt out", add_template},
    {"logits", "Measure", "Write the logits of every position of a token sequence", add_logits},
    {"perplexity", "Measure", "Measure how well a model predicts a text", add_perplexity},
    {"eval", "Measure", "Score models on data sets of questions, as the usual harnesses do", add_eval},
    {"observe", "Measure", "Draw what a layer does with a text: attention maps, expert choices", add_observe},
    {"bench", "Measure", "Measure how fast a model runs, beside what the machine can do", add_bench},
    {"replay", "Measure", "Compute a saved answer again and compare every bit", add_replay},
    {"train", "Train", "Train a model on JSON lines: an adapter beside it, or all of its weights", add_train},
    {"distil", "Train", "Let a teacher's answers become a student's rows", nullptr, distil_actions},
    {"lab", "Train", "Small models that show what a kind of attention learns, side by side", nullptr, lab_actions},
    {"completion", "Shell", "Print a completion script for bash, zsh or fish", add_completion},
};

struct Program {
  CLI::App root{"Fieldprint runs transformer language models on CPUs, fast and reproducibly.", "fieldprint"};
  std::map<const CLI::App*, Action> actions;
  std::string config;

  Program() {
    root.set_help_flag();  // ours, so that help goes through the checked standard output
    root.allow_extras()->require_subcommand(0, 1);
    add_common(root);
    root.add_flag("-V,--version")->description("Print the version");
    add_commands(root, kCommands);
  }

  void add_commands(CLI::App& parent, std::span<const Command> commands) {
    for (const Command& entry : commands) {
      auto* command = parent.add_subcommand(entry.name, entry.about)->group(entry.group);
      command->set_help_flag();
      command->allow_extras();
      if (entry.actions == nullptr) {
        actions[command] = entry.add(*command);
      } else {
        command->require_subcommand(0, 1);
        add_commands(*command, entry.actions());
      }
      add_common(*command);
    }
  }

  void add_common(CLI::App& app) {
    app.add_flag("-h,--help")->description("Show this help")->group("Help");
    add_text(app, "--config", config, "FILE", "Read settings from FILE")->group("Help");
  }
};

// `--system=` gives an empty value; CLI11 would take the next argument for it.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> all;
  bool flags = true;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--") flags = false;
    if (flags && argument.size() > 3 && argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      all.push_back(argument.substr(0, argument.size() - 1));
      all.emplace_back();
    } else {
      all.push_back(std::move(argument));
    }
  }
  return all;
}

std::string help_hint(const CLI::App& command) {
  const std::string name = command_name(command);
  return fmt::format("`fieldprint {}--help` lists the {}", name.empty() ? name : name + " ",
                     name.empty()           ? "commands"
                     : has_actions(command) ? "actions"
                                            : "flags");
}

// "-temp" would be read as -t with the value "emp", and "-ngl" as -n with "gl".
void refuse_one_dash(const CLI::App& root, const std::vector<std::string>& all) {
  std::vector<std::string> known;
  for (const auto* command : all_commands(root))
    for (const auto& name : flag_names(*command)) known.push_back(name);
  for (const auto& argument : all) {
    if (argument == "--") return;
    const std::string name = argument.substr(0, argument.find('='));
    if (name.size() < 3 || name[0] != '-' || name[1] == '-') continue;
    if (const std::string habit = flag_habit(name); !habit.empty())
      throw Error(ErrorKind::kUsage, fmt::format("unknown flag {}", name), {}, habit);
    if (std::find(known.begin(), known.end(), "-" + name) != known.end())
      throw Error(ErrorKind::kUsage, fmt::format("unknown flag {}", name), {}, fmt::format("did you mean -{}?", name));
  }
}

// `command` is the root where none was named.
void refuse_extras(const CLI::App& root, const CLI::App& command) {
  bool flags = true;
  for (const auto& extra : root.remaining(true)) {
    if (extra == "--" && flags) {
      flags = false;
      continue;
    }
    if (flags && extra.size() > 1 && extra.front() == '-') {
      const std::string name = extra.substr(0, extra.find('='));
      if (const std::string habit = flag_habit(name); !habit.empty())
        throw Error(ErrorKind::kUsage, fmt::format("unknown flag {}", name), {}, habit);
      const auto known = flag_names(command);
      if (std::find(known.begin(), known.end(), name) != known.end())  // `fieldprint --json models`
        throw Error(ErrorKind::kUsage, fmt::format("{} comes too early", name), {},
                    fmt::format("`fieldprint {} {}`: flags follow the command", command_name(command), name));
      throw Error(ErrorKind::kUsage, fmt::format("unknown flag {}", name), {},
                  name.size() == 2 ? help_hint(command) : did_you_mean(name, known, help_hint(command)));
    }
    std::vector<std::string> names;
    for (const auto* each : command.get_subcommands({})) names.push_back(each->get_name());
    if (&command != &root && has_actions(command))
      throw Error(ErrorKind::kUsage, fmt::format("fieldprint {} has no action '{}'", command_name(command), extra), {},
                  did_you_mean(extra, names, help_hint(command)));
    if (&command != &root) {
      const bool model = is_model_name(extra) && command.get_option_no_throw("--model") != nullptr;
      throw Error(ErrorKind::kUsage, fmt::format("unexpected argument '{}'", extra), {},
                  model ? fmt::format("`fieldprint {} -m {}` names a model", command_name(command), extra)
                        : "put text of several words in quotes");
    }
    if (const std::string habit = command_habit(extra); !habit.empty())
      throw Error(ErrorKind::kUsage, fmt::format("unknown command '{}'", extra), {}, habit);
    if (is_model_name(extra))
      throw Error(ErrorKind::kUsage, fmt::format("unknown command '{}'", extra), {},
                  fmt::format("`fieldprint run -m {} \"Hello\"` asks that model", extra));
    throw Error(ErrorKind::kUsage, fmt::format("unknown command '{}'", extra), {},
                did_you_mean(extra, names, help_hint(root)));
  }
}

void parse(CLI::App& root, std::vector<std::string> all) {
  std::reverse(all.begin(), all.end());  // CLI11 takes its arguments from the back
  try {
    root.parse(std::move(all));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    throw Error(ErrorKind::kUsage, fmt::format("{} needs a value", what.substr(0, what.find(':'))));
  } catch (const CLI::Error& error) {
    throw Error(ErrorKind::kUsage, error.what());
  }
}

int run(int argc, char** argv) {
  Program program;
  CLI::App& root = program.root;
  auto all = arguments(argc, argv);
  if (!all.empty() && all[0] == "help") {  // `fieldprint help run`
    all.erase(all.begin());
    all.emplace_back("--help");
  }
  const bool nothing = all.empty();
  refuse_one_dash(root, all);
  parse(root, std::move(all));

  CLI::App* command = &root;
  bool help = root.get_option("--help")->count() > 0;
  for (auto chosen = root.get_subcommands(); !chosen.empty(); chosen = command->get_subcommands()) {
    command = chosen.front();
    help = help || command->get_option("--help")->count() > 0;
  }
  if (root.get_option("--version")->count() > 0) {
    write_out("fieldprint " FIELDPRINT_VERSION "\n");
    return kDone;
  }
  if (command != &root && help) {
    print_command_help(*command);
    return kDone;
  }
  refuse_extras(root, *command);
  if (command == &root) {
    if (!nothing && !help) throw Error(ErrorKind::kUsage, "no command given", {}, help_hint(root));
    if (help) print_full_help(root);
    else print_short_help(root);
    return kDone;
  }
  if (has_actions(*command)) {  // `fieldprint memory` alone
    print_command_help(*command);
    return kDone;
  }
  apply_settings(root, *command, program.config);
  return program.actions.at(command)();
}

// A descriptor that came closed would be handed out again to the next file opened, and mixed up with it.
void occupy_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) [[maybe_unused]]
      const int taken = ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

// To an agent whose hook this is, 2 means that what it is about to do is forbidden. A mistake in a hook's flags forbids
// nothing.
int user_fault(int argc, char** argv) {
  const bool hook = argc > 2 && std::string_view(argv[1]) == "memory" && std::string_view(argv[2]) == "hook";
  return hook ? kOurFault : kUserFault;
}

int guarded(int argc, char** argv) {
  try {
    const int code = run(argc, argv);
    flush_out();
    return code;
  } catch (const Interrupted&) {
    return interrupt_exit_code();
  } catch (const ClosedOutput&) {
    ::signal(SIGPIPE, SIG_DFL);  // as any filter ends whose reader has left
    ::raise(SIGPIPE);
    return 128 + SIGPIPE;
  } catch (const Error& error) {
    if (interrupted()) return interrupt_exit_code();  // how a Progress that said "stop" surfaces
    tell_error(error);
    return user_fault(argc, argv);
  } catch (const std::bad_alloc&) {
    note("out of memory");
    write_err("hint: a smaller --context or fewer --threads need less\n");
    return kOurFault;
  } catch (const std::exception& error) {
    note(fmt::format("internal error: {}", error.what()));
    write_err("hint: this is a bug in Fieldprint; please report it with the command that led here\n");
    return kOurFault;
  }
}

}  // namespace

}  // namespace fieldprint::cli

int main(int argc, char** argv) {
  fieldprint::cli::occupy_standard_descriptors();
  ::signal(SIGPIPE, SIG_IGN);
  // Characters, not numbers or dates, by the user's locale; a terminal in the C locale still gets UTF-8.
  if (const char* locale = std::setlocale(LC_CTYPE, "");
      locale == nullptr || std::string_view(locale) == "C" || std::string_view(locale) == "POSIX")
    std::setlocale(LC_CTYPE, "C.UTF-8");
  return fieldprint::cli::guarded(argc, argv);
}
