#include "help.h"

#include <fmt/format.h>

#include <sstream>

#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

constexpr size_t kWidth = 80;
constexpr size_t kColumn = 26;  // where the descriptions begin

std::string wrapped(const std::string& text, size_t indent, size_t column) {
  std::string out;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    // A list too long for a line is cut behind one of its semicolons.
    while (word.size() > kWidth - indent) {
      const size_t cut = word.rfind(';', kWidth - indent - 1);
      if (cut == std::string::npos) break;
      if (column > indent) out += "\n" + std::string(indent, ' ');
      out += word.substr(0, cut + 1) + "\n" + std::string(indent, ' ');
      column = indent;
      word.erase(0, cut + 1);
    }
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

void print_heading(const std::string& text) {
  write_out("\n");
  write_out(text + ":", Style::kBold);
  write_out("\n");
}

void print_usage(const std::string& usage) {
  write_out("\n");
  write_out("Usage:", Style::kBold);
  write_out(" " + usage + "\n");
}

void print_flag(const CLI::Option& option) {
  std::string left = option.get_snames().empty() ? "    " : "-" + option.get_snames().front() + ", ";
  left += "--" + long_name(option);
  if (is_optional(option)) left += " [" + option.get_type_name() + "]";
  else if (!is_flag(option)) left += " " + option.get_type_name();
  const std::string shown = is_flag(option) ? "" : option.get_default_str();
  write_out(row(left, option.get_description() + (shown.empty() ? "" : " [" + shown + "]")));
}

void print_commands(const CLI::App& root) {
  std::string group;
  for (const auto* command : root.get_subcommands({})) {
    if (command->get_group() != group) print_heading(group = command->get_group());
    write_out(row(command->get_name(), command->get_description()));
  }
}

void print_start() {
  print_heading("To begin");
  write_out(
      "  fieldprint pull smollm2-135m            fetch the default model (94 MiB, once)\n"
      "  fieldprint run \"Why is the sky blue?\"   one answer\n"
      "  fieldprint chat                         a conversation\n"
      "  fieldprint serve                        for other programs, and a page\n");
}

constexpr const char* kMoreHelp = "\n`fieldprint COMMAND --help` shows the flags of a command.\n";

}  // namespace

void print_short_help(const CLI::App& root) {
  write_out(root.get_description() + "\n");
  print_start();
  print_commands(root);
  write_out(kMoreHelp);
}

void print_full_help(const CLI::App& root) {
  write_out(root.get_description() + "\n");
  print_usage("fieldprint COMMAND [FLAGS] ...");
  print_start();
  print_commands(root);
  print_heading("Flags");
  for (const auto* option : root.get_options()) print_flag(*option);
  print_heading("Settings");
  write_out("  " +
            wrapped("Every flag can also be set by an environment variable or in a config file, for all commands "
                    "or for one: --max-tokens is $FIELDPRINT_MAX_TOKENS, and `max-tokens = 256` at the top of "
                    "config.toml or below [run]. The command line wins over the environment, and that over the "
                    "file: --config FILE, $FIELDPRINT_CONFIG, or $XDG_CONFIG_HOME/fieldprint/config.toml.",
                    2, 2));
  print_heading("Exit codes");
  write_out(
      "  0 done, 1 an internal error, 2 a mistake in the command or its files,\n"
      "  130 stopped by Ctrl-C\n");
  write_out(kMoreHelp);
}

void print_command_help(const CLI::App& command) {
  const auto positionals = command.get_options([](const CLI::Option* o) { return o->get_positional(); });
  std::string usage = "fieldprint " + command_name(command) + (has_actions(command) ? " ACTION" : "") + " [FLAGS]";
  for (const auto* option : positionals) {
    const std::string name = option->get_name(true) + (is_repeatable(*option) ? "..." : "");
    usage += option->get_required() || option->get_type_name() == "REQUIRED" ? " " + name : " [" + name + "]";
  }
  write_out(wrapped(command.get_description() + ".", 0, 0));
  print_usage(usage);
  if (!positionals.empty()) write_out("\n");
  for (const auto* option : positionals) write_out(row(option->get_name(true), option->get_description()));
  if (has_actions(command)) print_commands(command);

  for (const auto& group : command.get_groups()) {
    const auto options =
        command.get_options([&](const CLI::Option* o) { return o->get_group() == group && o->nonpositional(); });
    if (options.empty() || group.empty()) continue;
    print_heading(group);
    for (const auto* option : options) print_flag(*option);
  }
  if (!command.get_footer().empty()) {
    print_heading("Examples");
    write_out(command.get_footer() + "\n");
  }
  if (has_actions(command))
    write_out("\n" + wrapped("`fieldprint " + command_name(command) + " ACTION --help` shows its flags.", 0, 0));
  write_out("\n" + wrapped("Flags can be set in the environment too, as $FIELDPRINT_ and their name in capitals, or in "
                           "a config file: `fieldprint --help` says how.",
                           0, 0));
}

}  // namespace fieldprint::cli
