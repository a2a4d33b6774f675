// `fieldprint memory add | search | list | show | explain | suspend | erase | propose`: records, and what is like a
// question.
#include <fmt/format.h>

#include "files.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/present.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

struct Offer {
  MemoryFlags memory;
  std::string text, channel = "user", uri, title, id;
  std::vector<std::string> seen;
  int valid_days = 0;

  // What the call takes of it. The text is standard input where the command line has none.
  Json params(const char* example) const {
    Json json{{"text", text.empty() ? read_input(example) : text}, {"channel", channel}};
    if (!uri.empty()) json["uri"] = uri;
    if (!title.empty()) json["title"] = title;
    if (!seen.empty()) json["seen"] = seen;
    if (valid_days > 0) json["valid_days"] = valid_days;
    return json;
  }
};

void add_offer(CLI::App& app, Offer& offer) {
  constexpr const char* kGroup = "Origin";
  add_text(app, "TEXT", offer.text, "TEXT", "What to remember; standard input if left out");
  add_choice(app, "--channel", offer.channel, {"user", "web", "tool", "model"},
             "Who says it: a person, a page, a tool's output, a model")
      ->group(kGroup);
  add_text(app, "--uri", offer.uri, "ADDRESS", "Where it was found")->group(kGroup);
  add_text(app, "--title", offer.title, "TEXT", "What it is called there")->group(kGroup);
  add_texts(app, "--seen", offer.seen, "ID", "A record its writer had seen; repeatable")->group(kGroup);
  add_integer(app, "--valid-days", offer.valid_days, 0, "Days after which it expires; 0 = never")->group(kGroup);
}

void add_id(CLI::App& app, std::string& id) {
  add_text(app, "ID", id, "REQUIRED", "The record: at least 6 of its id's digits");
}

void show_hits(const Json& result) {
  int number = 0;
  for (const Json& item : result.at("items")) {
    std::string line = fmt::format("[{}] {}  {} {}  label {}  score {}  {}", ++number, short_id(item),
                                   text_at(item, "kind"), text_at(item, "status"), integrity_of(item),
                                   number_at(item, "score"), proof_text(item.at("proof")));
    if (const std::string uri = text_at(item, "uri"); !uri.empty()) line += "  from " + uri;
    write_out(printable_line(line) + "\n");
    write_out(quoted_lines(text_at(item, "text")));
  }
  if (number == 0) write_out("nothing like it is remembered\n");
}

void show_record(const Json& record) {
  std::string sources = "any";
  if (const Json& label = record.at("label"); label.at("sources").is_array()) {
    sources = fmt::format("{}", label.at("sources").size());
  }
  std::string lineage;
  for (const Json& id : record.value("lineage", Json::array())) {
    lineage += (lineage.empty() ? "" : " ") + id.get<std::string>().substr(0, 12);
  }
  std::vector<std::pair<std::string, std::string>> fields = {
      {"id", text_at(record, "id")},
      {"kind", text_at(record, "kind")},
      {"status", text_at(record, "status")},
      {"label", integrity_of(record) + ", sources: " + sources},
      {"principal", text_at(record, "principal")},
      {"created", text_at(record, "created")},
      {"event", std::to_string(number_at(record, "index"))},
      {"descends from", lineage.empty() ? "nothing" : lineage},
  };
  for (const char* name : {"adapter", "uri", "title", "valid_until", "supersedes"}) {
    if (const std::string value = text_at(record, name); !value.empty()) fields.emplace_back(name, value);
  }
  print_fields(fields);
  if (record.contains("text") && record["text"].is_string()) write_out(quoted_lines(text_at(record, "text"), ""));
  else write_out("(its text is erased)\n");
}

void show_explanation(const Json& result) {
  print_lineage(result.at("record"));
  write_out("\n");
  for (const Json& event : result.at("events")) {
    write_out(printable_line(fmt::format("event {}  {}  {} by {}", number_at(event, "index"), text_at(event, "time"),
                                         text_at(event, "event"), text_at(event, "actor"))) +
              "\n");
  }
  write_out("proof: " + proof_text(result.at("proof")) + "; `fieldprint memory proof " + short_id(result.at("record")) +
            "` writes it\n");
  if (const std::string bad = text_at(result, "bad_ancestor"); !bad.empty()) {
    write_out(fmt::format("it descends from {}, which has fallen\n", bad.substr(0, 12)));
  }
  if (result.contains("can_pin")) {
    const std::string why = text_at(result, "cannot_pin");
    write_out("pinning: " + (why.empty() ? "allowed" : "refused, " + printable_line(why)) + "\n");
  }
}

void show_fallen(const Json& result) {
  write_out(fmt::format("{}  {}\n", short_id(result), text_at(result, "status")));
  for (const Json& id : result.value("fallen", Json::array())) {
    if (id != result.at("id")) write_out(fmt::format("{}  suspended with it\n", id.get<std::string>().substr(0, 12)));
  }
}

}  // namespace

Action add_memory_add(CLI::App& app) {
  auto offer = std::make_shared<Offer>();
  auto confidence = std::make_shared<int>(100);
  add_offer(app, *offer);
  add_integer(app, "--confidence", *confidence, 0, "How sure it is, in percent")->group("Origin");
  add_access(app, offer->memory);
  app.footer(
      "  fieldprint memory add \"The office closes at six.\"\n"
      "  curl -s https://example.org | fieldprint memory add --channel web \\\n"
      "    --uri https://example.org");
  return [offer, confidence] {
    Json params = offer->params("`fieldprint memory add \"The office closes at six.\"`");
    params["confidence"] = *confidence;
    return call_and_show(offer->memory, "add", params, [](const Json& json) { print_admitted(json, "remembered:"); });
  };
}

Action add_memory_propose(CLI::App& app) {
  auto offer = std::make_shared<Offer>();
  auto supersedes = std::make_shared<std::string>();
  add_offer(app, *offer);
  add_text(app, "--id", offer->id, "ID", "A record whose text is proposed, in place of TEXT")->group("Origin");
  add_text(app, "--supersedes", *supersedes, "ID", "The anchor in whose place it is to come")->group("Origin");
  add_access(app, offer->memory);
  app.footer(
      "  fieldprint memory propose \"Answer in British English.\"\n"
      "  fieldprint memory propose --id 3f2ab1");
  return [offer, supersedes] {
    Json params;
    if (offer->id.empty()) {
      params = offer->params("`fieldprint memory propose \"Answer in British English.\"`");
    } else {
      params["id"] = offer->id;
      if (offer->valid_days > 0) params["valid_days"] = offer->valid_days;
    }
    if (!supersedes->empty()) params["supersedes"] = *supersedes;
    return call_and_show(offer->memory, "propose", params, [](const Json& json) {
      print_admitted(json, "proposed:");
      write_out(
          fmt::format("approvers put it into force: `fieldprint memory endorse {} --key FILE`\n", short_id(json)));
    });
  };
}

Action add_memory_search(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string query;
    int limit = 8, tokens = 1000;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "QUERY", options->query, "TEXT", "What to look for; standard input if left out");
  add_integer(app, "-n,--limit", options->limit, 1, "Records at most")->group("Output");
  add_integer(app, "--tokens", options->tokens, 1, "Tokens of all records at most")->group("Output");
  add_access(app, options->memory);
  return [options] {
    const std::string query = options->query.empty()
                                  ? read_input("`fieldprint memory search \"When does the office close?\"`")
                                  : options->query;
    return call_and_show(options->memory, "recall",
                         {{"query", query}, {"limit", options->limit}, {"tokens", options->tokens}}, show_hits);
  };
}

Action add_memory_list(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string status, kind;
    int limit = 50, after = -1;
  };
  auto options = std::make_shared<Options>();
  constexpr const char* kGroup = "Which";
  add_choice(
      app, "--status", options->status,
      {"ADMITTED", "PROPOSED", "ENDORSED", "COMPILED", "ACTIVE", "SUSPENDED", "SUPERSEDED", "REVOKED", "EXPIRED"},
      "ADMITTED, PROPOSED, ENDORSED, COMPILED, ACTIVE, SUSPENDED, SUPERSEDED, REVOKED or EXPIRED")
      ->type_name("STATUS")
      ->group(kGroup);
  add_choice(app, "--kind", options->kind, {"OBS", "USR", "INF", "EPI", "ANC"},
             "Observations, users' statements, inferences, measured events, anchors")
      ->group(kGroup);
  add_integer(app, "--after", options->after, -1, "Those brought by later events than this one")->group(kGroup);
  add_integer(app, "-n,--limit", options->limit, 1, "Records at most")->group(kGroup);
  add_access(app, options->memory);
  return [options] {
    Json params{{"limit", options->limit}};
    if (!options->status.empty()) params["status"] = options->status;
    if (!options->kind.empty()) params["kind"] = options->kind;
    if (options->after >= 0) params["after"] = options->after;
    return call_and_show(options->memory, "list", params, [](const Json& json) { print_records(json.at("records")); });
  };
}

namespace {

// The actions that name one record and nothing else.
Action add_of_record(CLI::App& app, const char* method, void (*show)(const Json&)) {
  struct Options {
    MemoryFlags memory;
    std::string id;
  };
  auto options = std::make_shared<Options>();
  add_id(app, options->id);
  add_access(app, options->memory);
  return [options, method, show] {
    need(options->id, kWhichRecord, kListsRecords);
    return call_and_show(options->memory, method, {{"id", options->id}}, show);
  };
}

}  // namespace

Action add_memory_show(CLI::App& app) { return add_of_record(app, "show", show_record); }

Action add_memory_explain(CLI::App& app) { return add_of_record(app, "explain", show_explanation); }

Action add_memory_erase(CLI::App& app) {
  return add_of_record(app, "erase", [](const Json& result) {
    write_out(fmt::format("{}  its text is erased; that it was there stays provable\n", short_id(result)));
  });
}

Action add_memory_suspend(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string id, reason;
  };
  auto options = std::make_shared<Options>();
  add_id(app, options->id);
  add_text(app, "--reason", options->reason, "TEXT", "Why, for the ledger")->group("Which");
  add_access(app, options->memory);
  return [options] {
    need(options->id, kWhichRecord, kListsRecords);
    need(options->reason, "why is it suspended?", "--reason TEXT says so in the ledger");
    return call_and_show(options->memory, "suspend", {{"id", options->id}, {"reason", options->reason}}, show_fallen);
  };
}

}  // namespace fieldprint::cli
