// The settings of agents: what is there stays, what is ours is put in or taken out. Texts in, texts out; pure
// functions.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fieldprint::cli {

inline constexpr const char* kServerName = "fieldprint-memory";

struct AgentServer {  // of MCP, over stdio
  std::string command;
  std::vector<std::string> arguments;
};

struct AgentHook {
  std::string matcher;  // "" = none
  std::string command;  // for a shell
};

// A JSON file with "mcpServers", as Claude Code has it; `server` nullptr: ours is taken out. Throws Error kBadFile,
// naming `path`, for what is no such file or could not be written again without loss, kUsage where another server has
// our name.
std::string with_server(const std::string& text, const AgentServer* server, const std::string& path);

// A JSON file with "hooks", as Claude Code and Codex have them: our hook of each event is the one given, and of other
// events there is none. Throws as with_server().
std::string with_hooks(const std::string& text, const std::map<std::string, AgentHook>& hooks, const std::string& path);

// Codex's config.toml: a block between two comments of ours, at its end. Throws as with_server().
std::string with_server_block(const std::string& text, const AgentServer* server, const std::string& path);

}  // namespace fieldprint::cli
