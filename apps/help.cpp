#include "help.h"

#include <fmt/format.h>

#include <sstream>

#include "options.h"
#include "output.h"
#include "settings.h"

namespace fieldprint::cli {

namespace {

constexpr size_t kWidth = 80;
constexpr size_t kColumn = 26;  // where the descriptions begin

std::string wrapped(const std::string& text, size_t indent, size_t column) {
  std::string out;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

std::string row(const std::string& left, const std::string& right) {
  std::string line = "  " + left;
  if (line.size() + 2 > kColumn) line += "\n" + std::string(kColumn, ' ');
  else line.resize(kColumn, ' ');
  return line + wrapped(right, kColumn, kColumn);
}

std::string heading(const std::string& text) { return "\n" + bold(text + ":", out_is_terminal()) + "\n"; }

std::string flag_row(const CLI::Option& option) {
  std::string left = option.get_snames().empty() ? "    " : "-" + option.get_snames().front() + ", ";
  left += "--" + long_name(option);
  if (!is_flag(option)) left += " " + option.get_type_name();
  std::string extra = is_flag(option) ? "" : option.get_default_str();
  if (const std::string variable = environment_name(option); !variable.empty())
    extra += (extra.empty() ? "$" : "; $") + variable;
  return row(left, option.get_description() + (extra.empty() ? "" : " [" + extra + "]"));
}

std::string command_rows(const CLI::App& root) {
  std::string out, group;
  for (const auto* command : root.get_subcommands({})) {
    if (command->get_group() != group) out += heading(group = command->get_group());
    out += row(command->get_name(), command->get_description());
  }
  return out;
}

constexpr const char* kStart =
    "  fieldprint pull smollm2-135m            fetch the default model (94 MiB, once)\n"
    "  fieldprint run \"Why is the sky blue?\"   one answer\n"
    "  fieldprint chat                         a conversation\n";

}  // namespace

std::string short_help(const CLI::App& root) {
  return root.get_description() + "\n" + heading("To begin") + kStart + command_rows(root) +
         "\n`fieldprint COMMAND --help` shows a command's flags.\n";
}

std::string full_help(const CLI::App& root) {
  std::string out =
      root.get_description() + "\n\n" + bold("Usage:", out_is_terminal()) + " fieldprint COMMAND [FLAGS] ...\n";
  out += heading("To begin") + kStart + command_rows(root) + heading("Flags");
  for (const auto* option : root.get_options()) out += flag_row(*option);
  out += heading("Settings");
  out += "  " + wrapped(
                    "Every flag may also stand in the environment or in a config file, for all commands or for one: "
                    "--max-tokens is $FIELDPRINT_MAX_TOKENS, and in config.toml `max-tokens = 256` at the top or under "
                    "[run]. The command line wins, then the environment, then the file, which is --config, "
                    "$FIELDPRINT_CONFIG, or $XDG_CONFIG_HOME/fieldprint/config.toml.",
                    2, 2);
  out += heading("Exit codes") +
         "  0 done, 1 a fault of Fieldprint, 2 a mistake in the call or its files,\n  130 Ctrl-C before there was an "
         "answer\n";
  return out + "\n`fieldprint COMMAND --help` shows a command's flags.\n";
}

std::string command_help(const CLI::App& command) {
  const auto positionals = command.get_options([](const CLI::Option* o) { return o->get_positional(); });
  std::string usage = "fieldprint " + command.get_name() + " [FLAGS]";
  for (const auto* option : positionals) {
    const std::string name = option->get_name(true) + (is_repeatable(*option) ? "..." : "");
    usage += option->get_required() || option->get_type_name() == "REQUIRED" ? " " + name : " [" + name + "]";
  }
  std::string out = wrapped(command.get_description() + ".", 0, 0);
  out += "\n" + bold("Usage:", out_is_terminal()) + " " + usage + "\n";
  if (!positionals.empty()) out += "\n";
  for (const auto* option : positionals) out += row(option->get_name(true), option->get_description());

  for (const auto& group : command.get_groups()) {
    const auto options =
        command.get_options([&](const CLI::Option* o) { return o->get_group() == group && o->nonpositional(); });
    if (options.empty() || group.empty()) continue;
    out += heading(group);
    for (const auto* option : options) out += flag_row(*option);
  }
  if (!command.get_footer().empty()) out += heading("Examples") + command.get_footer() + "\n";
  return out;
}

}  // namespace fieldprint::cli
