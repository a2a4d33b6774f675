// `fieldprint memory override ...`: the commands that hold whatever state a memory is in, signed here or elsewhere, and
// the process that carries them out.
#include "fieldprint/override.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

#include "fieldprint/error.h"
#include "files.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/present.h"
#include "memory/signing.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

// A command as it is typed, and its name and arguments as they are signed.
struct OverrideCommand {
  const char* action;
  const char* about;
  const char* command;
  std::array<const char*, 2> arguments;  // "" = none
  size_t required;                       // of them
};
constexpr OverrideCommand kCommands[] = {
    {"halt", "Stop everything that this memory takes part in", "HALT", {"", ""}, 0},
    {"no-anchors", "Use no anchors from now on", "NO_ANCHORS", {"", ""}, 0},
    {"freeze", "Take no new records", "FREEZE_WRITES", {"", ""}, 0},
    {"clean-boot", "Begin new conversations without anything remembered", "CLEAN_BOOT", {"", ""}, 0},
    {"revoke", "Revoke a record and all that descends from it", "REVOKE", {"record", ""}, 1},
    {"suspend-source", "Suspend all that comes from a source", "SUSPEND_SOURCE", {"source", ""}, 1},
    {"restore", "Lift what the others have set; approvers sign it", "RESTORE", {"source", ""}, 0},
    {"rotate-key", "Put a key in the place of another; roots sign it", "ROTATE_KEY", {"old", "key"}, 2},
};

std::string folder_of(const MemoryFlags& memory) { return memory.path() + "/override"; }

struct Order {
  MemoryFlags memory;
  std::array<std::string, 2> values;
  std::string target = "*", reason, statement_out, signed_file;
  std::vector<std::string> keys;
  int seconds = 600;
};

int send(const Order& order, const std::string& note) {
  const std::string answer = send_override(folder_of(order.memory), note);
  if (order.memory.json) write_json({{"answer", answer}}, 2);
  else write_out(printable_line(answer) + "\n");
  return kDone;
}

int carry_out(const Order& order, const OverrideCommand& command) {
  const int ways = !order.keys.empty() + !order.statement_out.empty() + !order.signed_file.empty();
  if (ways != 1) {
    throw Error(ErrorKind::kUsage,
                ways == 0 ? "a command of the override takes signatures"
                          : "--key, --statement-out and --signed exclude each other",
                {}, kThreeWays);
  }
  if (!order.signed_file.empty()) {
    const std::string text = read_file(order.signed_file);
    if (text.find(fmt::format("\ncmd={}\n", command.command)) == std::string::npos)
      throw Error(ErrorKind::kBadInput, fmt::format("this is no command to {}", command.command), order.signed_file);
    return send(order, text);
  }
  OverrideRequest request;
  request.command = command.command;
  request.target = order.target;
  request.reason = order.reason;
  request.seconds = order.seconds;
  for (size_t i = 0; i < order.values.size(); ++i) {
    const std::string name = command.arguments[i];
    if (name.empty() || order.values[i].empty()) {
      if (i < command.required)
        throw Error(ErrorKind::kUsage, fmt::format("which {}?", name), {},
                    fmt::format("`fieldprint memory override {} --help`", command.action));
      continue;
    }
    request.arguments.emplace_back(name, order.values[i]);
  }
  const std::string text = make_override_command(override_status(folder_of(order.memory)), request);
  if (!order.statement_out.empty()) {
    write_to(order.statement_out, text);
    return kDone;
  }
  return send(order, sign_with(text, order.keys));
}

Action add_command(CLI::App& app, const OverrideCommand& command) {
  auto order = std::make_shared<Order>();
  for (size_t i = 0; i < command.arguments.size() && *command.arguments[i] != 0; ++i) {
    std::string name = command.arguments[i];
    for (char& letter : name) letter = static_cast<char>(letter - 'a' + 'A');
    add_text(app, name, order->values[i], i < command.required ? "REQUIRED" : "TEXT",
             name == "RECORD"   ? "All 64 digits of its id"
             : name == "SOURCE" ? "The 32 digits of a source, as labels have it"
             : name == "OLD"    ? "The key that goes, as its public half"
                                : "The key that comes, as its public half");
  }
  add_signing(app, order->keys, order->statement_out, order->signed_file);
  add_text(app, "--reason", order->reason, "TEXT", "Why; the command holds its digest")->group("Command");
  add_text(app, "--target", order->target, "TEXT", "*, agent=NAME or instance=ID")->group("Command");
  add_integer(app, "--seconds", order->seconds, 1, "How long it may be used, at most 900")->group("Command");
  add_memory(app, order->memory);
  add_json(app, order->memory.json);
  return [order, &command] { return carry_out(*order, command); };
}

template <size_t i>
Action add_numbered(CLI::App& app) {
  return add_command(app, kCommands[i]);
}

Action add_serve(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::vector<std::string> users;
  };
  auto options = std::make_shared<Options>();
  add_texts(app, "--user", options->users, "UID", "A user besides this one who may connect; repeatable")
      ->group("Memory");
  add_memory(app, options->memory);
  return [options] {
    OverrideOptions given{.directory = folder_of(options->memory)};
    for (const std::string& user : options->users) {
      given.users.push_back(static_cast<uint32_t>(parse_integer(user, 0, UINT32_MAX - 1, "--user")));
    }
    given.log = [](const std::string& line) { note(line); };
    const SignalGuard guard;
    OverrideProcess process(std::move(given));
    write_out(fmt::format("override of {} listens\n", printable_line(options->memory.path())));
    flush_out();
    until_interrupted([&] { process.run(); }, [&] { process.stop(); });
    return kDone;
  };
}

Action add_status(CLI::App& app) {
  auto flags = std::make_shared<MemoryFlags>();
  add_memory(app, *flags);
  add_json(app, flags->json);
  return [flags] {
    const OverrideStatus status = override_status(folder_of(*flags));
    if (flags->json) {
      write_json({{"agent", status.agent},
                  {"instance", status.instance},
                  {"epoch", status.epoch},
                  {"counter", status.counter},
                  {"prev", status.prev},
                  {"halted", status.halted},
                  {"no_anchors", status.no_anchors},
                  {"frozen", status.frozen},
                  {"clean_boot", status.clean_boot},
                  {"sources", status.sources},
                  {"waiting", status.waiting},
                  {"fault", status.fault}},
                 2);
      return kDone;
    }
    std::string flags_text;
    const auto flag = [&](bool set, const char* name) {
      if (set) flags_text += (flags_text.empty() ? "" : ", ") + std::string(name);
    };
    flag(status.halted, "halted");
    flag(status.no_anchors, "no anchors");
    flag(status.frozen, "frozen");
    flag(status.clean_boot, "clean boot");
    std::vector<std::pair<std::string, std::string>> fields = {
        {"agent", status.agent},
        {"instance", status.instance},
        {"in force", flags_text.empty() ? "nothing" : flags_text},
        {"counter", std::to_string(status.counter)}};
    for (const std::string& source : status.sources) fields.emplace_back("suspended source", source);
    for (const uint64_t counter : status.waiting) fields.emplace_back("waits for the ledger", std::to_string(counter));
    if (!status.fault.empty()) fields.emplace_back("fault", status.fault);
    print_fields(fields);
    return kDone;
  };
}

Action add_log(CLI::App& app) {
  auto flags = std::make_shared<MemoryFlags>();
  add_memory(app, *flags);
  add_json(app, flags->json);
  return [flags] {
    const auto entries = override_entries(folder_of(*flags));
    Json all = Json::array();
    std::vector<std::vector<std::string>> rows;
    for (const OverrideEntry& entry : entries) {
      std::string arguments;
      Json named = Json::object();
      for (const auto& [name, value] : entry.arguments) {
        arguments += (arguments.empty() ? "" : " ") + name + "=" + value;
        named[name] = value;
      }
      const std::time_t seconds = entry.time;
      std::tm parts{};
      gmtime_r(&seconds, &parts);
      char time[32];
      std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", &parts);
      rows.push_back({std::to_string(entry.counter), time, entry.command, entry.in_force ? "yes" : "waits",
                      printable_line(arguments)});
      all.push_back({{"counter", entry.counter},
                     {"time", time},
                     {"command", entry.command},
                     {"arguments", named},
                     {"in_force", entry.in_force},
                     {"note", entry.note}});
    }
    if (flags->json) write_json({{"entries", all}}, 2);
    else print_table({"COUNTER", "TIME", "COMMAND", "IN FORCE", "ARGUMENTS"}, rows);
    return kDone;
  };
}

template <size_t... i>
constexpr auto make_actions(std::index_sequence<i...>) {
  constexpr const char* kGroup = "Commands";
  return std::array<Command, sizeof...(i) + 3>{
      Command{kCommands[i].action, kGroup, kCommands[i].about, add_numbered<i>}...,
      Command{"serve", "The override", "Carry out signed commands, apart from everything else", add_serve},
      Command{"status", "The override", "Show what is in force", add_status},
      Command{"log", "The override", "List what was accepted", add_log},
  };
}

constexpr auto kActions = make_actions(std::make_index_sequence<std::size(kCommands)>());

}  // namespace

std::span<const Command> override_actions() { return kActions; }

}  // namespace fieldprint::cli
