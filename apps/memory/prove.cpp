// `fieldprint memory log | proof | checkpoint | verify | export`: what the ledger says, and that it says so.
#include <fmt/format.h>

#include <filesystem>

#include "fieldprint/error.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/present.h"
#include "memory/signing.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

// The fields of an event that a line has room for.
std::string event_text(const Json& event) {
  std::string text = short_id(event);
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "  ") + more; };
  if (const std::string kind = text_at(event, "kind"); !kind.empty()) add(kind + " " + text_at(event, "integrity"));
  if (const std::string id = short_id(event, "successor"); !id.empty()) add("-> " + id);
  for (const char* name : {"cause", "rule", "detail", "session", "what"}) {
    if (const std::string value = text_at(event, name); !value.empty()) add(std::string(name) + " " + value);
  }
  if (const auto ids = event.find("ids"); ids != event.end() && ids->is_array()) add(counted(ids->size(), "record"));
  return printable_line(text);
}

// A text that a call returns, to a file or standard output.
int write_text(const MemoryFlags& flags, const Json& result, const std::string& out) {
  if (flags.json) {
    write_json(result, 2);
  } else {
    write_to(out, result.at("text").get<std::string>());
  }
  return kDone;
}

}  // namespace

Action add_memory_log(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    int after = -1, limit = 50;
  };
  auto options = std::make_shared<Options>();
  add_integer(app, "--after", options->after, -1, "From the event after this one on; the last ones if left out")
      ->default_str("")
      ->group("Which");
  add_integer(app, "-n,--limit", options->limit, 1, "Events at most")->group("Which");
  add_access(app, options->memory);
  const CLI::Option* after = app.get_option("--after");
  return [options, after] {
    Json params{{"limit", options->limit}};
    if (after->count() > 0) params["after"] = options->after;
    return call_and_show(options->memory, "log", params, [](const Json& json) {
      std::vector<std::vector<std::string>> rows;
      for (const Json& event : json.at("events")) {
        rows.push_back({std::to_string(number_at(event, "index")), text_at(event, "time"), text_at(event, "event"),
                        printable_line(text_at(event, "actor")), event_text(event)});
      }
      print_table({"EVENT", "TIME", "KIND", "BY", "WHAT"}, rows);
    });
  };
}

Action add_memory_proof(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string id, out;
    int index = -1;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "ID", options->id, "TEXT", "The record whose event is proved");
  add_integer(app, "--index", options->index, -1, "An event by its number, in place of ID")
      ->default_str("")
      ->group("Which");
  add_text(app, "--out", options->out, "FILE", "Where to, if not standard output")->group("Output");
  add_access(app, options->memory);
  return [options] {
    if (options->index < 0) need(options->id, kWhichRecord, kListsRecords);
    if (options->index >= 0 && !options->id.empty())
      throw Error(ErrorKind::kUsage, "a record and --index exclude each other");
    const Json params = options->index < 0 ? Json{{"id", options->id}} : Json{{"index", options->index}};
    return write_text(options->memory, Access(options->memory).call("proof", params), options->out);
  };
}

Action add_memory_checkpoint(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string out;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "--out", options->out, "FILE", "Where to, if not standard output")->group("Output");
  add_access(app, options->memory);
  return [options] {
    return write_text(options->memory, Access(options->memory).call("checkpoint", Json::object()), options->out);
  };
}

Action add_memory_verify(CLI::App& app) {
  auto flags = std::make_shared<MemoryFlags>();
  add_access(app, *flags);
  return [flags] {
    const Json result = Access(*flags).call("verify", Json::object());
    const Json& faults = result.at("faults");
    if (flags->json) {
      write_json(result, 2);
    } else {
      write_out(fmt::format("checked {}, {}, {} ({} erased) and {}\n",
                            counted(static_cast<uint64_t>(number_at(result, "events")), "event"),
                            counted(static_cast<uint64_t>(number_at(result, "records")), "record"),
                            counted(static_cast<uint64_t>(number_at(result, "payloads")), "text"),
                            number_at(result, "erased"),
                            counted(static_cast<uint64_t>(number_at(result, "signatures")), "signature")));
      for (const Json& fault : faults) write_out("fault: " + printable_line(fault.get<std::string>()) + "\n");
    }
    if (faults.empty()) {
      if (!flags->json) write_out("everything is as it was signed\n");
      return kDone;
    }
    flush_out();
    throw Error(ErrorKind::kBadFile, fmt::format("{} in this memory", counted(faults.size(), "fault")), flags->path());
  };
}

Action add_memory_export(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string directory;
    bool payloads = false;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "DIR", options->directory, "REQUIRED", "A new folder for it");
  add_flag(app, "--payloads", options->payloads, "The texts too, in the clear")->group("Output");
  add_access(app, options->memory);
  app.footer("  fieldprint memory export ./export && fieldprint-verify ./export");
  return [options] {
    need(options->directory, "into which folder?", "`fieldprint memory export DIR`");
    const std::string directory = std::filesystem::absolute(options->directory).lexically_normal().string();
    return call_and_show(options->memory, "export", {{"directory", directory}, {"payloads", options->payloads}},
                         [](const Json& json) {
                           write_out(fmt::format("wrote {}, {} to {}\n",
                                                 counted(static_cast<uint64_t>(number_at(json, "size")), "event"),
                                                 counted(static_cast<uint64_t>(number_at(json, "records")), "record"),
                                                 printable_line(text_at(json, "directory"))));
                         });
  };
}

}  // namespace fieldprint::cli
