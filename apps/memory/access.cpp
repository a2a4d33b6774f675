#include "memory/access.h"

#include <fmt/format.h>

#include <filesystem>

#include "command.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "options.h"
#include "output.h"
#include "settings.h"

namespace fieldprint::cli {

namespace {
constexpr const char* kGroup = "Memory";
}

std::string default_memory() {
  const std::string folder = user_folder("XDG_DATA_HOME", ".local/share");
  return folder.empty() ? folder : folder + "/memory";
}

std::string MemoryFlags::path() const {
  const std::string chosen = directory.empty() ? default_memory() : directory;
  if (chosen.empty()) throw Error(ErrorKind::kUsage, "where is the memory?", {}, "--memory DIR, or $FIELDPRINT_MEMORY");
  return std::filesystem::absolute(chosen).lexically_normal().string();
}

void add_memory(CLI::App& app, MemoryFlags& flags) {
  add_text(app, "--memory", flags.directory, "DIR", "The memory's folder")
      ->default_str("~/.local/share/fieldprint/memory")
      ->group(kGroup);
}

void add_json(CLI::App& app, bool& json) { add_flag(app, "--json", json, "A JSON object")->group("Output"); }

void add_access(CLI::App& app, MemoryFlags& flags) {
  add_memory(app, flags);
  add_text(app, "--principal", flags.principal, "TEXT", "Whose records these are; those of others are not seen")
      ->group(kGroup);
  add_text(app, "--session", flags.session, "TEXT", "The conversation: what it has seen is lineage of what it writes")
      ->group(kGroup);
  add_json(app, flags.json);
}

void need(const std::string& value, const char* question, const char* hint) {
  if (value.empty()) throw Error(ErrorKind::kUsage, question, {}, hint);
}

Access::Access(const MemoryFlags& flags) : caller_{flags.principal, flags.session, "cli"} {
  const std::string path = flags.path();
  calls_ = connect_memory(path);
  if (calls_ == nullptr) calls_ = open_memory({.directory = path});
}

std::optional<Access> Access::of_daemon(const MemoryFlags& flags, std::string adapter, std::string session) {
  Access access;
  access.caller_ = {flags.principal, std::move(session), std::move(adapter)};
  access.calls_ = connect_memory(flags.path());
  if (access.calls_ == nullptr) return std::nullopt;
  return access;
}

Json Access::call(std::string_view method, const Json& params) {
  return Json::parse(calls_->call(caller_, method, params.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

int call_and_show(const MemoryFlags& flags, std::string_view method, const Json& params,
                  const std::function<void(const Json&)>& show) {
  const Json result = Access(flags).call(method, params);
  if (flags.json) write_json(result, 2);
  else show(result);
  return kDone;
}

}  // namespace fieldprint::cli
