#include "memory/access.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "command.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "options.h"
#include "output.h"
#include "settings.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {
constexpr const char* kGroup = "Memory";

constexpr std::chrono::milliseconds kTurnStep{20}, kTurnQuiet{1000}, kTurnMost{20'000};

// Whether a process works on the memory's ledger now (docs/formats/ledger.md: its file `lock`).
bool is_busy(const std::string& path) {
  const int lock = ::open((path + "/ledger/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return false;
  const bool taken = ::flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(lock);
  return taken;
}
}  // namespace

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

std::unique_ptr<MemoryCalls> open_in_turn(const std::string& path,
                                          const std::function<std::unique_ptr<MemoryCalls>()>& otherwise) {
  const auto begin = std::chrono::steady_clock::now();
  bool told = false;
  for (int idle = 0;;) {
    if (auto calls = otherwise()) return calls;
    try {
      return open_memory({.directory = path});
    } catch (const Error& error) {
      const auto waited = std::chrono::steady_clock::now() - begin;
      idle = is_busy(path) ? 0 : idle + 1;  // it may have been left between the two
      if (error.kind() != ErrorKind::kIo || idle == 3 || waited > kTurnMost) throw;
      if (!told && waited > kTurnQuiet) note("another process has the memory open; waiting for it");
      told = told || waited > kTurnQuiet;
    }
    std::this_thread::sleep_for(kTurnStep);
    if (interrupted()) throw Interrupted{};
  }
}

Access::Access(const MemoryFlags& flags) : caller_{flags.principal, flags.session, "cli"} {
  const std::string path = flags.path();
  calls_ = open_in_turn(path, [&path] { return connect_memory(path); });
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
