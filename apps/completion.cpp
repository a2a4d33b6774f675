// `fieldprint completion`: scripts for the shells, made from the very flags that the parser knows.
#include <fmt/format.h>

#include <algorithm>

#include "command.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

enum class Kind { kNothing, kFile, kModel, kName, kChoice };

// What completes a value stands in its type name: MODEL, FILE, DIR, NAME (of a model), or "a|b|c".
Kind kind_of(const CLI::Option& option) {
  if (is_flag(option)) return Kind::kNothing;
  const std::string type = option.get_type_name();
  if (type == "FILE" || type == "FILE[=SCALE]" || type == "DIR") return Kind::kFile;
  if (type == "MODEL") return Kind::kModel;
  if (type == "NAME") return Kind::kName;
  return type.find('|') != std::string::npos ? Kind::kChoice : Kind::kNothing;
}

std::string choices_of(const CLI::Option& option) {
  std::string choices = option.get_type_name();
  std::replace(choices.begin(), choices.end(), '|', ' ');
  return choices;
}

std::string model_names() {
  std::string names;
  for (const auto& entry : catalog()) names += (names.empty() ? "" : " ") + std::string(entry.name);
  return names;
}

std::vector<std::string> spellings(const CLI::Option& option) {  // "-m", "--model"
  std::vector<std::string> all;
  for (const auto& name : option.get_snames()) all.push_back("-" + name);
  for (const auto& name : option.get_lnames()) all.push_back("--" + name);
  return all;
}

std::vector<const CLI::Option*> flags_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* o) { return o->nonpositional(); });
}

const CLI::Option* positional_of(const CLI::App& app) {
  const auto all = app.get_options([](const CLI::Option* o) { return o->get_positional(); });
  return all.empty() ? nullptr : all.front();
}

std::string escaped(std::string text, std::string_view special) {  // a backslash before each of `special`
  for (size_t i = 0; i < text.size(); ++i)
    if (special.find(text[i]) != std::string_view::npos) text.insert(i++, 1, '\\');
  return text;
}

std::string quoted(const std::string& text) {  // for a POSIX shell
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out + "'";
}

std::string bash_action(const CLI::Option& option) {
  switch (kind_of(option)) {
    case Kind::kFile:
      return "_fieldprint_files";
    case Kind::kModel:
      return "_fieldprint_models";
    case Kind::kName:
      return fmt::format("_fieldprint_words {}", quoted(model_names()));
    case Kind::kChoice:
      return fmt::format("_fieldprint_words {}", quoted(choices_of(option)));
    case Kind::kNothing:
      break;
  }
  return ":";
}

std::string words_of(const CLI::App& app) {  // names of its commands or actions
  std::string names;
  for (const auto* command : app.get_subcommands({})) names += (names.empty() ? "" : " ") + command->get_name();
  return names;
}

std::string bash_script(const CLI::App& root) {
  const auto commands = all_commands(root);
  std::string steps;  // from one command to its actions: "memory add"
  for (const auto* command : commands) {
    const std::string name = command_name(*command), before = name.substr(0, name.size() - command->get_name().size());
    steps += fmt::format("      {}) command='{}' ;;\n", quoted(before.empty() ? " " + name : name), name);
  }
  std::string out = fmt::format(
      R"(# bash completion of fieldprint: source <(fieldprint completion bash)
_fieldprint_words() {{ mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }}
_fieldprint_files() {{ compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }}
_fieldprint_models() {{
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen -W {} -- "$cur"; compgen -f -X '!*.gguf' -- "$cur"; compgen -d -- "$cur")
}}
_fieldprint() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command ${{COMP_WORDS[i]}}" in
{}    esac
  done
  case $command in
)",
      quoted(model_names()), steps);
  const auto clause = [&](const CLI::App& app, const std::string& pattern, const std::string& otherwise) {
    std::vector<std::string> all;
    out += fmt::format("    {})\n      case $prev in\n", pattern);
    for (const auto* option : flags_of(app)) {
      const auto names_of = spellings(*option);
      all.insert(all.end(), names_of.begin(), names_of.end());
      if (!is_flag(*option))
        out += fmt::format("        {}) {}; return ;;\n", fmt::join(names_of, " | "), bash_action(*option));
    }
    out += fmt::format("      esac\n      if [[ $cur == -* ]]; then _fieldprint_words {}; else {}; fi ;;\n",
                       quoted(fmt::format("{}", fmt::join(all, " "))), otherwise);
  };
  for (const auto* command : commands) {
    const auto* positional = positional_of(*command);
    clause(*command, quoted(command_name(*command)),
           has_actions(*command)   ? "_fieldprint_words " + quoted(words_of(*command))
           : positional == nullptr ? ":"
                                   : bash_action(*positional));
  }
  clause(root, "*", "_fieldprint_words " + quoted(words_of(root)));
  return out + "  esac\n}\ncomplete -F _fieldprint fieldprint\n";
}

std::string zsh_action(const CLI::Option& option) {
  switch (kind_of(option)) {
    case Kind::kFile:
      return "_files";
    case Kind::kModel:
      return "_fieldprint_models";
    case Kind::kName:
      return "(" + model_names() + ")";
    case Kind::kChoice:
      return "(" + choices_of(option) + ")";
    case Kind::kNothing:
      break;
  }
  return " ";
}

std::string zsh_flag(const CLI::Option& option) {
  const auto names = spellings(option);
  const std::string about = "[" + escaped(option.get_description(), "[]:\\") + "]";
  const std::string value =
      is_flag(option) ? "" : ":" + escaped(option.get_type_name(), ":") + ":" + zsh_action(option);
  const std::string many = is_repeatable(option) ? "*" : "";
  if (names.size() == 1) return quoted(many + names[0] + about + value);
  const std::string apart = many.empty() ? fmt::format("({})", fmt::join(names, " ")) : many;
  return fmt::format("{}{{{}}}{}", quoted(apart), fmt::join(names, ","), quoted(about + value));
}

// A function that completes the flags of `app`, then its commands or actions.
std::string zsh_function(const CLI::App& app, const std::string& name) {
  std::string list, cases, inner, flags;
  for (const auto* command : app.get_subcommands({})) {
    list += "        " + quoted(command->get_name() + ":" + escaped(command->get_description(), ":")) + "\n";
    if (has_actions(*command)) {
      const std::string below = name + "_" + command->get_name();
      inner += zsh_function(*command, below);
      cases += fmt::format("        {}) {} ;;\n", command->get_name(), below);
      continue;
    }
    cases += fmt::format("        {}) _arguments", command->get_name());
    for (const auto* option : flags_of(*command)) cases += " \\\n            " + zsh_flag(*option);
    if (const auto* positional = positional_of(*command))
      cases += " \\\n            " + quoted(fmt::format("{}:{}:{}", is_repeatable(*positional) ? "*" : "1",
                                                        positional->get_name(true), zsh_action(*positional)));
    cases += " ;;\n";
  }
  for (const auto* option : flags_of(app)) flags += " \\\n    " + zsh_flag(*option);
  return inner + fmt::format(R"({}() {{
  local state line
  typeset -A opt_args
  _arguments -C{} \
    '1:command:->command' '*::argument:->arguments'
  case $state in
    command)
      local -a commands=(
{}      )
      _describe command commands ;;
    arguments)
      case $words[1] in
{}      esac ;;
  esac
}}
)",
                             name, flags, list, cases);
}

std::string zsh_script(const CLI::App& root) {
  return fmt::format(R"(#compdef fieldprint
# zsh completion of fieldprint: put this into a folder of $fpath as _fieldprint, or: source <(fieldprint completion zsh)
_fieldprint_models() {{
  local -a names=({})
  _alternative 'models:model:compadd -a names' 'files:file:_files -g "*.gguf"'
}}
{}if [[ $funcstack[1] == _fieldprint ]]; then _fieldprint "$@"; else compdef _fieldprint fieldprint; fi
)",
                     model_names(), zsh_function(root, "_fieldprint"));
}

std::string fish_values(const CLI::Option& option) {
  switch (kind_of(option)) {
    case Kind::kFile:
      return " -r -F";
    case Kind::kModel:
      return fmt::format(" -x -k -a '{} (__fish_complete_suffix .gguf)'", model_names());
    case Kind::kName:
      return fmt::format(" -x -a '{}'", model_names());
    case Kind::kChoice:
      return fmt::format(" -x -a '{}'", choices_of(option));
    case Kind::kNothing:
      break;
  }
  return is_flag(option) ? "" : " -x";
}

std::string fish_script(const CLI::App& root) {
  const auto about = [](const std::string& text) { return " -d '" + escaped(text, "'\\") + "'"; };
  std::string out =
      "# fish completion of fieldprint: fieldprint completion fish > ~/.config/fish/completions/fieldprint.fish\n"
      "complete -c fieldprint -f\n";
  const auto flag = [&](const std::string& when, const CLI::Option& option) {
    out += "complete -c fieldprint -n '" + when + "'";
    for (const auto& name : option.get_snames()) out += " -s " + name;
    for (const auto& name : option.get_lnames()) out += " -l " + name;
    out += fish_values(option) + about(option.get_description()) + "\n";
  };
  for (const auto* option : flags_of(root)) flag("__fish_use_subcommand", *option);
  for (const auto* command : all_commands(root)) {
    const CLI::App& around = *command->get_parent();
    const std::string seen = "__fish_seen_subcommand_from ";
    const std::string before = around.get_parent() == nullptr ? "" : seen + around.get_name() + "; and ";
    const std::string when = before + seen + command->get_name();
    out += fmt::format("complete -c fieldprint -n '{}' -a {}{}\n",
                       before.empty() ? "__fish_use_subcommand" : before + "not " + seen + words_of(around),
                       command->get_name(), about(command->get_description()));
    for (const auto* option : flags_of(*command)) flag(when, *option);
    const auto* positional = positional_of(*command);
    if (positional != nullptr && kind_of(*positional) != Kind::kNothing)
      out += fmt::format("complete -c fieldprint -n '{}'{}\n", when, fish_values(*positional));
  }
  return out;
}

}  // namespace

Action add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  add_choice(app, "SHELL", *shell, {"bash", "zsh", "fish"}, "bash, zsh or fish");
  app.footer(
      "  source <(fieldprint completion bash)\n"
      "  fieldprint completion zsh > ~/.zsh/functions/_fieldprint\n"
      "  fieldprint completion fish > ~/.config/fish/completions/fieldprint.fish");
  const CLI::App* root = app.get_parent();
  return [shell, root] {
    if (shell->empty()) throw Error(ErrorKind::kUsage, "which shell?", {}, "`fieldprint completion bash`, zsh or fish");
    write_data(*shell == "bash" ? bash_script(*root) : *shell == "zsh" ? zsh_script(*root) : fish_script(*root));
    return kDone;
  };
}

}  // namespace fieldprint::cli
