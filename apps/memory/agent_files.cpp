#include "memory/agent_files.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "fieldprint/error.h"
#include "fieldprint/json.h"

namespace fieldprint::cli {

namespace {

using Json = nlohmann::ordered_json;

// Refuses what would not come out again as it went in: a name twice, a number that no type of ours holds.
class Lossless : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Lossless(const std::string& path) : path_(path) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t& text) override {
    if (text.find_first_of(".eE") == std::string::npos) refuse("a number has too many digits: " + text);
    return true;
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override {
    names_.emplace_back();
    return true;
  }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second) refuse("a name is there twice: " + name);
    return true;
  }
  bool end_object() override {
    names_.pop_back();
    return true;
  }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::kBadFile, what + ", so that this file is left as it is", path_,
                "write it by hand: --dry-run shows what");
  }
  const std::string& path_;
  std::vector<std::set<std::string>> names_;
};

Json parsed(const std::string& text, const std::string& path) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Json::object();
  try {
    check_json(text, path);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFile, error.what(), {}, "it is left as it is");
  }
  Lossless lossless(path);
  nlohmann::json::sax_parse(text, &lossless);
  Json json = Json::parse(text);
  if (!json.is_object()) throw Error(ErrorKind::kBadFile, "this is no JSON object", path, "it is left as it is");
  return json;
}

// As the file was laid out: its indentation, and whether its last line ends.
std::string laid_out(const Json& json, const std::string& before) {
  int indent = 2;
  char with = ' ';
  bool end = true;
  if (before.find_first_not_of(" \t\r\n") != std::string::npos) {
    end = before.ends_with('\n');
    const size_t line = before.find('\n');
    if (line == std::string::npos || line + 1 == before.size()) {
      indent = -1;
    } else if (before[line + 1] == '\t') {
      indent = 1, with = '\t';
    } else if (const size_t first = before.find_first_not_of(' ', line + 1);
               first != std::string::npos && first > line + 1) {
      indent = static_cast<int>(first - line - 1);
    }
  }
  return json.dump(indent, with) + (end ? "\n" : "");
}

Json& object_at(Json& json, const char* name, const std::string& path) {
  Json& value = json[name];
  if (value.is_null()) value = Json::object();
  if (!value.is_object())
    throw Error(ErrorKind::kBadFile, fmt::format("\"{}\" is no object", name), path, "it is left as it is");
  return value;
}

[[noreturn]] void name_taken(const std::string& path) {
  throw Error(ErrorKind::kUsage, fmt::format("an MCP server is called {} here that is not ours", kServerName), path,
              "rename it first");
}

bool is_ours(const Json& hook) {
  const auto command = hook.is_object() ? hook.find("command") : hook.end();
  return hook.is_object() && command != hook.end() && command->is_string() &&
         command->get_ref<const std::string&>().find(" memory hook ") != std::string::npos;
}

Json group_of(const AgentHook& hook) {
  Json group = Json::object();
  if (!hook.matcher.empty()) group["matcher"] = hook.matcher;
  group["hooks"] = Json::array({{{"type", "command"}, {"command", hook.command}, {"timeout", 5}}});
  return group;
}

// Takes our hooks out of an event's groups, and groups that held nothing else.
void take_out(Json& groups) {
  for (auto group = groups.begin(); group != groups.end();) {
    const auto hooks = group->is_object() ? group->find("hooks") : group->end();
    if (!group->is_object() || hooks == group->end() || !hooks->is_array()) {
      ++group;
      continue;
    }
    const size_t before = hooks->size();
    for (auto hook = hooks->begin(); hook != hooks->end();) {
      if (is_ours(*hook)) hook = hooks->erase(hook);
      else ++hook;
    }
    if (before > 0 && hooks->empty()) group = groups.erase(group);
    else ++group;
  }
}

size_t count_ours(const Json& groups) {
  size_t count = 0;
  for (const Json& group : groups) {
    const auto hooks = group.is_object() ? group.find("hooks") : group.end();
    if (group.is_object() && hooks != group.end() && hooks->is_array())
      count += static_cast<size_t>(std::ranges::count_if(*hooks, is_ours));
  }
  return count;
}

std::string toml_text(const std::string& text) {  // a basic string is a JSON string
  return json_string(text);
}

}  // namespace

std::string with_server(const std::string& text, const AgentServer* server, const std::string& path) {
  Json json = parsed(text, path);
  if (server == nullptr && !json.contains("mcpServers")) return text;
  Json& servers = object_at(json, "mcpServers", path);
  const auto found = servers.find(kServerName);
  if (found != servers.end()) {
    const Json arguments = found->is_object() ? found->value("args", Json::array()) : Json::array();
    if (arguments.size() < 2 || arguments[0] != "memory" || arguments[1] != "mcp") name_taken(path);
  }
  if (server == nullptr) {
    if (found == servers.end()) return text;
    servers.erase(kServerName);
    if (servers.empty()) json.erase("mcpServers");
    return laid_out(json, text);
  }
  const Json entry = {{"type", "stdio"}, {"command", server->command}, {"args", server->arguments}};
  if (found != servers.end() && *found == entry) return text;
  servers[kServerName] = entry;
  return laid_out(json, text);
}

std::string with_hooks(const std::string& text, const std::map<std::string, AgentHook>& hooks,
                       const std::string& path) {
  Json json = parsed(text, path);
  if (hooks.empty() && !json.contains("hooks")) return text;
  const Json before = json;
  Json& events = object_at(json, "hooks", path);
  for (const auto& [name, hook] : hooks) events.emplace(name, Json::array());
  for (auto event = events.begin(); event != events.end();) {
    Json& groups = event.value();
    if (!groups.is_array())
      throw Error(ErrorKind::kBadFile, fmt::format("\"hooks\" of {} are no list", event.key()), path,
                  "it is left as it is");
    const auto wanted = hooks.find(event.key());
    const size_t ours = count_ours(groups);
    if (wanted == hooks.end()) {
      take_out(groups);
      if (ours > 0 && groups.empty()) {
        event = events.erase(event);
        continue;
      }
    } else if (const Json group = group_of(wanted->second);
               ours != 1 || std::ranges::find(groups, group) == groups.end()) {
      take_out(groups);
      groups.push_back(group);
    }
    ++event;
  }
  if (events.empty()) json.erase("hooks");
  return json == before ? text : laid_out(json, text);
}

std::string with_server_block(const std::string& text, const AgentServer* server, const std::string& path) {
  const std::string begin = "# >>> fieldprint memory: `fieldprint memory install --codex --remove` takes this out\n";
  const std::string end = "# <<< fieldprint memory\n";
  const auto table_of = [&](const std::string& toml) {
    try {
      return toml::parse(toml, path);
    } catch (const toml::parse_error& error) {
      throw Error(ErrorKind::kBadFile, std::string(error.description()),
                  fmt::format("{}:{}", path, error.source().begin.line), "it is left as it is");
    }
  };
  table_of(text);  // nothing is added to what cannot be read
  std::string rest = text;
  if (const size_t from = rest.find(begin); from != std::string::npos) {
    const size_t to = rest.find(end, from);
    if (to == std::string::npos)
      throw Error(ErrorKind::kBadFile, "our block has no end", path, "put `# <<< fieldprint memory` behind it");
    rest.erase(from, to + end.size() - from);
    if (rest.substr(0, from).ends_with("\n\n")) rest.erase(from - 1, 1);  // the empty line before it was ours
  }
  const toml::table without = table_of(rest);
  if (without["mcp_servers"][kServerName]) name_taken(path);
  if (server == nullptr) return rest;
  std::string block =
      begin + fmt::format("[mcp_servers.{}]\ncommand = {}\nargs = [", kServerName, toml_text(server->command));
  for (size_t i = 0; i < server->arguments.size(); ++i) block += (i > 0 ? ", " : "") + toml_text(server->arguments[i]);
  block += "]\n" + end;
  std::string result = rest;
  if (!result.empty() && !result.ends_with('\n')) result += '\n';
  if (!result.empty()) result += '\n';
  result += block;
  // Whatever else the file says, it says afterwards.
  toml::table with = table_of(result);
  if (toml::table* servers = with["mcp_servers"].as_table()) {
    servers->erase(kServerName);
    if (servers->empty() && !without["mcp_servers"]) with.erase("mcp_servers");
  }
  if (with != without)
    throw Error(ErrorKind::kBadFile, "a server cannot be added at the end of this file", path,
                "write it by hand: --dry-run with an empty file shows what");
  return result;
}

}  // namespace fieldprint::cli
