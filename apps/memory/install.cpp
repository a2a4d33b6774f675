// `fieldprint memory install`: an MCP server and hooks in the settings of Claude Code and Codex.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "files.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/agent_files.h"
#include "memory/diff.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

namespace fs = std::filesystem;

struct Install {
  MemoryFlags memory;
  bool claude = false, codex = false, project = false, dry_run = false, remove = false, no_hooks = false;
  bool store_prompts = false, store_answers = false;
  std::vector<std::string> store_tools;
};

struct Edit {
  fs::path path;
  bool there = false;
  std::string before, after;
};

std::string quoted(const std::string& word) {  // for a shell
  if (!word.empty() &&
      word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == std::string::npos)
    return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// $VARIABLE, or ~/FOLDER.
fs::path home_folder(const char* variable, const char* folder) {
  if (const char* named = std::getenv(variable); named != nullptr && *named != 0) return named;
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == 0)
    throw Error(ErrorKind::kUsage, "where is your home?", {}, "set $HOME, or use --project");
  return fs::path(home) / folder;
}

std::string own_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) throw Error(ErrorKind::kIo, "this program's own path cannot be read", "/proc/self/exe");
  return program.string();
}

AgentServer server_of(const Install& install) {
  AgentServer server{own_program(), {"memory", "mcp", "--memory", install.memory.path()}};
  if (install.memory.principal != "user")
    server.arguments.insert(server.arguments.end(), {"--principal", install.memory.principal});
  return server;
}

std::map<std::string, AgentHook> hooks_of(const Install& install, const char* client) {
  std::map<std::string, AgentHook> hooks;
  if (install.remove || install.no_hooks) return hooks;
  const auto command = [&](const char* event, const std::string& more) {
    std::string line = fmt::format("{} memory hook {} --memory {} --client {}", quoted(own_program()), event,
                                   quoted(install.memory.path()), client);
    if (install.memory.principal != "user") line += " --principal " + quoted(install.memory.principal);
    return line + more;
  };
  hooks["SessionStart"] = {{}, command("SessionStart", "")};
  hooks["UserPromptSubmit"] = {{}, command("UserPromptSubmit", install.store_prompts ? " --store-prompts" : "")};
  if (install.store_answers) hooks["Stop"] = {{}, command("Stop", " --store-answers")};
  if (!install.store_tools.empty()) {
    std::string more, matcher;
    for (const std::string& tool : install.store_tools) {
      more += " --store-tools " + quoted(tool);
      matcher += (matcher.empty() ? "" : "|") + tool;
    }
    hooks["PostToolUse"] = {matcher, command("PostToolUse", more)};
  }
  return hooks;
}

Edit read_edit(const fs::path& path) {
  std::error_code error;
  Edit edit{path, fs::exists(path, error), {}, {}};
  if (edit.there) edit.before = read_file(path.string());
  return edit;
}

std::vector<Edit> edits_of(const Install& install) {
  const AgentServer server = server_of(install);
  const AgentServer* wanted = install.remove ? nullptr : &server;
  std::vector<Edit> edits;
  const auto edit = [&](const fs::path& path, const auto& change) {
    edits.push_back(read_edit(path));
    edits.back().after = change(edits.back().before);
  };
  const auto hooks = [&](const fs::path& path, const char* client) {
    edit(path, [&](const std::string& text) { return with_hooks(text, hooks_of(install, client), path.string()); });
  };
  if (install.claude) {
    const bool moved = std::getenv("CLAUDE_CONFIG_DIR") != nullptr;
    const fs::path folder = install.project ? fs::path(".claude") : home_folder("CLAUDE_CONFIG_DIR", ".claude");
    const fs::path servers = install.project ? fs::path(".mcp.json")
                             : moved         ? folder / ".claude.json"
                                             : home_folder("", ".claude.json");
    edit(servers, [&](const std::string& text) { return with_server(text, wanted, servers.string()); });
    hooks(folder / "settings.json", "claude");
  }
  if (install.codex) {
    const fs::path folder = install.project ? fs::path(".codex") : home_folder("CODEX_HOME", ".codex");
    const fs::path config = folder / "config.toml";
    edit(config, [&](const std::string& text) { return with_server_block(text, wanted, config.string()); });
    hooks(folder / "hooks.json", "codex");
  }
  return edits;
}

void write_edit(const Edit& edit) {
  std::error_code error;
  if (edit.path.has_parent_path()) fs::create_directories(edit.path.parent_path(), error);
  struct stat info {};
  const bool known = edit.there && ::stat(edit.path.c_str(), &info) == 0;
  // Agents write these files as well: what has changed since it was read is not written over.
  if (read_edit(edit.path).before != edit.before)
    throw Error(ErrorKind::kIo, "it has just been changed by somebody else", edit.path.string(),
                "run the command again");
  const mode_t usual = ::umask(077);  // what is in them may be nobody else's to read, not even for a moment
  {
    AtomicFile file(edit.path.string());
    file.write(edit.after);
    file.commit();
  }
  ::umask(usual);
  if (::chmod(edit.path.c_str(), known ? info.st_mode & 07777 : 0666 & ~usual) != 0) {
    throw Error(ErrorKind::kIo, "its permissions cannot be set", edit.path.string());
  }
}

int carry_out(const Install& install) {
  if (!install.claude && !install.codex)
    throw Error(ErrorKind::kUsage, "for which agent?", {},
                "--claude, --codex or both; --dry-run shows what would be written");
  std::vector<Edit> edits = edits_of(install);  // all are read and checked before the first is written
  std::erase_if(edits, [](const Edit& edit) { return edit.before == edit.after; });
  if (edits.empty()) {
    write_out(install.remove ? "nothing of this memory is in their settings\n" : "their settings say so already\n");
    return kDone;
  }
  for (const Edit& edit : edits) {
    if (install.dry_run) {
      write_out(unified_diff(edit.path.string(), edit.before, edit.after));
    } else {
      write_edit(edit);
      write_out(fmt::format("{} {}\n", edit.there ? "changed" : "wrote", printable_line(edit.path.string())));
    }
  }
  if (install.dry_run || install.remove) return kDone;
  if (install.codex && !install.no_hooks) write_out("Codex asks you once to trust the hooks: /hooks in its prompt\n");
  write_out("the hooks answer while the daemon runs: an agent's MCP server starts it, or `fieldprint memory serve`\n");
  return kDone;
}

}  // namespace

Action add_memory_install(CLI::App& app) {
  auto install = std::make_shared<Install>();
  add_flag(app, "--claude", install->claude, "Claude Code: ~/.claude.json, ~/.claude/settings.json")->group("Agents");
  add_flag(app, "--codex", install->codex, "Codex: ~/.codex/config.toml, ~/.codex/hooks.json")->group("Agents");
  add_flag(app, "--project", install->project, "For this folder: .mcp.json, .claude, .codex")->group("Agents");
  add_flag(app, "--dry-run", install->dry_run, "Show what would change, and change nothing")->group("How");
  add_flag(app, "--remove", install->remove, "Take out what it put in")->group("How");
  add_flag(app, "--no-hooks", install->no_hooks, "Only the MCP server")->group("How");
  add_texts(app, "--store-tools", install->store_tools, "TOOL", "Store what this tool returns, as EXTERNAL; repeatable")
      ->group("What the hooks store");
  add_flag(app, "--store-prompts", install->store_prompts, "Every prompt, not only \"remember that ...\"")
      ->group("What the hooks store");
  add_flag(app, "--store-answers", install->store_answers, "The model's answers")->group("What the hooks store");
  add_memory(app, install->memory);
  add_text(app, "--principal", install->memory.principal, "TEXT", "Whose records these are")->group("Memory");
  app.footer(
      "  fieldprint memory install --claude --codex --dry-run\n"
      "  fieldprint memory install --claude --store-tools WebFetch");
  return [install] { return carry_out(*install); };
}

}  // namespace fieldprint::cli
