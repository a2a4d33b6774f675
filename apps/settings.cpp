#include "settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fieldprint/error.h"
#include "options.h"
#include "suggest.h"

namespace fieldprint::cli {

namespace {

const char* environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr && *value != 0 ? value : nullptr;  // set but empty counts as not set
}

bool configurable(const CLI::Option& option) { return !environment_name(option).empty(); }

std::string value_text(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  throw Error(ErrorKind::kUsage, "must be a string, a number, true, false or a list of them", where);
}

std::vector<std::string> values_of(const toml::node& node, const std::string& where) {
  std::vector<std::string> values;
  if (const auto* list = node.as_array()) {
    for (const auto& element : *list) values.push_back(value_text(element, where));
  } else {
    values.push_back(value_text(node, where));
  }
  return values;
}

class Config {
 public:
  Config(const CLI::App& root, std::string path) : path_(std::move(path)) {
    std::ifstream file(path_, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) throw Error(ErrorKind::kNotFound, "cannot read this config file", path_);
    try {
      table_ = toml::parse(text.str(), path_);
    } catch (const toml::parse_error& error) {
      throw Error(ErrorKind::kUsage, std::string(error.description()),
                  fmt::format("{}:{}", path_, error.source().begin.line));
    }
    check_names(root);
  }

  // The node for a flag of `command`, or nullptr: of its own table, of that around it, of the file.
  const toml::node* find(const CLI::App& command, const std::string& flag) const {
    for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
      const toml::table* table = table_of(*app);
      const toml::node* node = table == nullptr ? nullptr : find_in(*table, flag);
      if (node != nullptr && !node->is_table()) return node;
    }
    return nullptr;
  }

  std::string where(const toml::node& node) const { return fmt::format("{}:{}", path_, node.source().begin.line); }

 private:
  static std::string dashed(std::string_view key) {
    std::string name(key);
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
  }

  static const toml::node* find_in(const toml::table& table, const std::string& flag) {
    for (const auto& [key, node] : table)
      if (dashed(key.str()) == flag) return &node;
    return nullptr;
  }

  const toml::table* table_of(const CLI::App& app) const {
    if (app.get_parent() == nullptr) return &table_;
    const toml::table* around = table_of(*app.get_parent());
    return around == nullptr ? nullptr : (*around)[app.get_name()].as_table();
  }

  static void add_known(const CLI::App& app, std::vector<std::string>& known) {
    for (const auto* option : app.get_options())
      if (configurable(*option)) known.push_back(long_name(*option));
  }

  // A setting that no subcommand has is a slip of the pen, and would otherwise be passed over in silence.
  void check_names(const CLI::App& app) const {
    std::vector<std::string> known;
    if (app.get_parent() != nullptr) add_known(app, known);
    for (const auto* command : all_commands(app)) add_known(*command, known);
    for (const auto& [key, node] : *table_of(app)) {
      if (!node.is_table() || !has_actions(app)) {
        check_name(key.str(), node, known, command_name(app));
        continue;
      }
      const CLI::App* command = nullptr;
      for (const auto* each : app.get_subcommands({}))
        if (each->get_name() == key.str()) command = each;
      if (command == nullptr) {
        const std::string around = command_name(app);
        throw Error(ErrorKind::kUsage,
                    fmt::format("[{}{}{}] is not a command", around, around.empty() ? "" : ".", key.str()),
                    where(node));
      }
      check_names(*command);
    }
  }

  void check_name(std::string_view key, const toml::node& node, const std::vector<std::string>& known,
                  const std::string& command) const {
    if (std::find(known.begin(), known.end(), dashed(key)) != known.end()) return;
    const std::string help = fmt::format("`fieldprint {} --help` lists them", command.empty() ? "run" : command);
    throw Error(ErrorKind::kUsage, fmt::format("there is no setting '{}'", key), where(node),
                did_you_mean(dashed(key), known, help));
  }

  std::string path_;
  toml::table table_;
};

}  // namespace

std::string environment_name(const CLI::Option& option) {
  const std::string name = long_name(option);
  if (name.empty() || !option.nonpositional() || name == "help" || name == "version") return {};
  std::string variable = "FIELDPRINT_";
  for (const char c : name) variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string user_folder(const char* variable, const char* fallback) {
  // The XDG specification: a relative path is invalid and to be ignored.
  if (const char* folder = environment(variable); folder != nullptr && *folder == '/')
    return std::string(folder) + "/fieldprint";
  if (const char* home = environment("HOME")) return fmt::format("{}/{}/fieldprint", home, fallback);
  return {};
}

void set_option(CLI::Option& option, const std::vector<std::string>& values, const std::string& where) {
  option.clear();
  try {
    if (values.size() != 1 && !is_repeatable(option))
      throw Error(ErrorKind::kUsage, fmt::format("--{} takes one value", long_name(option)));
    for (const auto& value : values) option.add_result(value);
    option.run_callback();
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, error.what(), where, error.hint());
  } catch (const CLI::Error&) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--{} must be true or false, not '{}'", long_name(option), values.front()), where);
  }
}

void apply_settings(const CLI::App& root, CLI::App& command, const std::string& config) {
  std::string path = config;
  if (path.empty())
    if (const char* named = environment("FIELDPRINT_CONFIG")) path = named;
  if (path.empty()) {
    const std::string folder = user_folder("XDG_CONFIG_HOME", ".config");
    std::error_code ignored;
    if (!folder.empty() && std::filesystem::exists(folder + "/config.toml", ignored)) path = folder + "/config.toml";
  }
  std::optional<Config> file;
  if (!path.empty()) file.emplace(root, path);

  for (auto* option : command.get_options()) {
    const std::string variable = environment_name(*option);
    if (variable.empty() || option->count() > 0 || long_name(*option) == "config") continue;
    if (const char* value = environment(variable)) {
      std::vector<std::string> values{value};
      if (is_repeatable(*option)) values = CLI::detail::split(value, '\n');  // one a line
      set_option(*option, values, "$" + variable);
    } else if (const toml::node* node = file ? file->find(command, long_name(*option)) : nullptr) {
      const std::string where = file->where(*node);
      const auto list = values_of(*node, where);
      if (!list.empty()) set_option(*option, list, where);
    }
  }
}

}  // namespace fieldprint::cli
