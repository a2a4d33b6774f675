// How the actions of `fieldprint memory` reach a memory: through the daemon that has it open, or in this process.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fieldprint/memory_calls.h"

namespace fieldprint::cli {

using Json = nlohmann::ordered_json;

struct MemoryFlags {
  std::string directory;  // "" = default_memory()
  std::string principal = "user";
  std::string session;
  bool json = false;

  std::string path() const;  // absolute
};

std::string default_memory();  // ~/.local/share/fieldprint/memory; "" where there is no home

void add_memory(CLI::App& app, MemoryFlags& flags);  // --memory
void add_access(CLI::App& app, MemoryFlags& flags);  // and --principal, --session, --json
void add_json(CLI::App& app, bool& json);            // --json

// Throws Error kUsage where `value` is empty: "which record?".
void need(const std::string& value, const char* question, const char* hint);

inline constexpr const char* kWhichRecord = "which record?";
inline constexpr const char* kListsRecords = "`fieldprint memory list` shows their ids";

// Opens the memory in this process once no other has it open; before each attempt what `otherwise` returns, unless it
// is null. A command of a script does not fail because the one before it is about to end. Throws as open_memory().
std::unique_ptr<MemoryCalls> open_in_turn(const std::string& path,
                                          const std::function<std::unique_ptr<MemoryCalls>()>& otherwise);

// A memory at work. One thread.
class Access {
 public:
  // Through the daemon where one answers for the directory, else in this process. Throws as open_memory().
  explicit Access(const MemoryFlags& flags);
  // Through the daemon or not at all.
  static std::optional<Access> of_daemon(const MemoryFlags& flags, std::string adapter, std::string session);

  Json call(std::string_view method, const Json& params);  // throws as MemoryCalls::call()

 private:
  Access() = default;

  MemoryCaller caller_;
  std::unique_ptr<MemoryCalls> calls_;
};

// One call; on standard output its result as JSON where the flags ask for it, else what `show` makes of it.
int call_and_show(const MemoryFlags& flags, std::string_view method, const Json& params,
                  const std::function<void(const Json&)>& show);

}  // namespace fieldprint::cli
