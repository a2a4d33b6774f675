// `fieldprint memory statement | sign | submit`, and what does all three where the keys are at hand: endorse, release,
// revoke, supersede. Signing reads a text and a key file and nothing else, so that it works on a machine without the
// memory.
#include "memory/signing.h"

#include <fmt/format.h>

#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_setup.h"
#include "fieldprint/override.h"
#include "files.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/present.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

constexpr const char* kSignGroup = "Signing";

void show_submitted(const Json& result) {
  std::string line = fmt::format("event {}: {}", number_at(result, "index"), text_at(result, "event"));
  if (const std::string id = short_id(result); !id.empty()) line += " " + id;
  write_out(line + "\n");
  if (const std::string anchor = short_id(result, "anchor"); !anchor.empty()) {
    write_out(fmt::format("anchor {} is in force\n", anchor));
  }
  for (const Json& id : result.value("fallen", Json::array())) {
    if (id != result.at("id")) write_out(fmt::format("{} is suspended with it\n", id.get<std::string>().substr(0, 12)));
  }
}

// A line of a statement: "record" of "record 3f2a...".
std::string field_of(const std::string& note, const std::string& name) {
  const size_t at = note.find("\n" + name + " ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 2;
  return note.substr(begin, note.find('\n', begin) - begin);
}

// Who types "endorse 3f2a" does not want to submit that something else be revoked.
void check_signed(const std::string& note, const std::string& action, const std::string& id, const std::string& path) {
  if (!note.starts_with("fieldprint/" + action + "/v1\n"))
    throw Error(ErrorKind::kBadInput, fmt::format("this is no statement to {}", action), path,
                fmt::format("it begins \"{}\"", printable_line(note.substr(0, std::min<size_t>(note.find('\n'), 60)))));
  if (const std::string record = field_of(note, "record"); !record.starts_with(id))
    throw Error(ErrorKind::kBadInput, fmt::format("this statement is about {}, not {}", record.substr(0, 12), id),
                path);
}

struct Change {
  MemoryFlags memory;
  std::string action, id, successor, reason, statement_out, signed_file;
  std::vector<std::string> keys;
  int valid_days = 0;

  Json params() const {
    Json json{{"action", action}, {"id", id}};
    if (!successor.empty()) json["successor"] = successor;
    if (!reason.empty()) json["reason"] = reason;
    if (valid_days > 0) json["valid_days"] = valid_days;
    return json;
  }
};

int submit(const MemoryFlags& memory, Access& access, const std::string& note) {
  const Json result = access.call("submit", {{"note", note}});
  if (memory.json) write_json(result, 2);
  else show_submitted(result);
  return kDone;
}

int carry_out(const Change& change) {
  need(change.id, kWhichRecord, kListsRecords);
  const int ways = !change.keys.empty() + !change.statement_out.empty() + !change.signed_file.empty();
  if (ways != 1) {
    throw Error(
        ErrorKind::kUsage,
        ways == 0 ? fmt::format("to {} takes signatures", change.action)
                  : std::string("--key, --statement-out and --signed exclude each other"),
        {},
        "--key FILE signs here; --statement-out FILE writes what others sign with `fieldprint memory sign`, and "
        "--signed FILE submits it");
  }
  Access access(change.memory);
  if (!change.signed_file.empty()) {
    const std::string text = read_file(change.signed_file);
    check_signed(text, change.action, change.id, change.signed_file);
    return submit(change.memory, access, text);
  }
  const std::string text = access.call("statement", change.params()).at("text").get<std::string>();
  if (!change.statement_out.empty()) {
    write_to(change.statement_out, text);
    if (change.statement_out != "-") {
      note(
          fmt::format("wrote {}; `fieldprint memory sign {} --key FILE --out SIGNED` signs it, and "
                      "`fieldprint memory {} {} --signed SIGNED` puts it into force",
                      change.statement_out, change.statement_out, change.action, change.id.substr(0, 12)));
    }
    return kDone;
  }
  if (change.action == "endorse") {  // what is signed here is seen first
    write_err("endorsing " + field_of(text, "record").substr(0, 12) + ":\n");
    write_err(quoted_lines(text_at(access.call("show", {{"id", change.id}}), "text"), "  "));
  }
  return submit(change.memory, access, sign_with(text, change.keys));
}

// The flags of every signed change.
std::shared_ptr<Change> add_change(CLI::App& app, const char* action, const char* about_id) {
  auto change = std::make_shared<Change>();
  change->action = action;
  add_text(app, "ID", change->id, "REQUIRED", about_id);
  add_signing(app, change->keys, change->statement_out, change->signed_file);
  return change;
}

}  // namespace

void add_signing(CLI::App& app, std::vector<std::string>& keys, std::string& statement_out, std::string& signed_file) {
  add_texts(app, "--key", keys, "FILE", "Sign with this key; repeatable")->group(kSignGroup);
  add_text(app, "--statement-out", statement_out, "FILE", "Write what has to be signed; - = standard output")
      ->group(kSignGroup);
  add_text(app, "--signed", signed_file, "FILE", "Submit what came back signed; - = standard input")->group(kSignGroup);
}

std::string sign_with(std::string text, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!text.starts_with("fieldprint/override/")) {
      text = sign_statement(text, key);
      continue;
    }
    memory_key_of(key);  // refuses what is no key, or one that others may read
    std::string secret = read_file(key);
    while (secret.ends_with('\n')) secret.pop_back();
    text = sign_override_command(text, secret);
  }
  return text;
}

void write_to(const std::string& path, const std::string& text) {
  if (path.empty() || path == "-") {
    write_data(text);
    return;
  }
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

Action add_memory_endorse(CLI::App& app) {
  auto change = add_change(app, "endorse", "The candidate: at least 6 of its id's digits");
  add_integer(app, "--valid-days", change->valid_days, 0, "Days after which the anchor expires; 0 = never")
      ->group(kSignGroup);
  add_access(app, change->memory);
  app.footer(
      "  fieldprint memory endorse 3f2ab1 --key approver-1.key --key approver-2.key\n"
      "  fieldprint memory endorse 3f2ab1 --statement-out s.txt    (here)\n"
      "  fieldprint memory sign s.txt --key approver-1.key --out s.note  (elsewhere)\n"
      "  fieldprint memory endorse 3f2ab1 --signed s.note          (here)");
  return [change] { return carry_out(*change); };
}

Action add_memory_release(CLI::App& app) {
  auto change = add_change(app, "release", "The suspended record: at least 6 of its id's digits");
  add_text(app, "--reason", change->reason, "TEXT", "Why, for the ledger")->group(kSignGroup);
  add_access(app, change->memory);
  return [change] { return carry_out(*change); };
}

Action add_memory_revoke(CLI::App& app) {
  auto change = add_change(app, "revoke", "The record: at least 6 of its id's digits");
  add_text(app, "--reason", change->reason, "TEXT", "Why, for the ledger")->group(kSignGroup);
  add_access(app, change->memory);
  return [change] { return carry_out(*change); };
}

Action add_memory_supersede(CLI::App& app) {
  auto change = add_change(app, "supersede", "The anchor that goes: at least 6 of its id's digits");
  add_text(app, "SUCCESSOR", change->successor, "REQUIRED", "The anchor that comes in its place");
  add_access(app, change->memory);
  return [change] {
    if (change->signed_file.empty()) need(change->successor, "which anchor comes in its place?", kListsRecords);
    return carry_out(*change);
  };
}

Action add_memory_statement(CLI::App& app) {
  struct Options {
    Change change;
    std::string role, vkey;
    std::vector<std::string> set;
    bool retire = false;
  };
  auto options = std::make_shared<Options>();
  Change& change = options->change;
  add_choice(app, "ACTION", change.action, {"endorse", "release", "revoke", "supersede", "key", "policy"},
             "endorse, release, revoke, supersede, key or policy")
      ->type_name("REQUIRED");
  add_text(app, "ID", change.id, "TEXT", "The record, where it is about one");
  add_text(app, "--successor", change.successor, "ID", "supersede: the anchor that comes in its place")
      ->group("Statement");
  add_text(app, "--reason", change.reason, "TEXT", "release, revoke: why, for the ledger")->group("Statement");
  add_integer(app, "--valid-days", change.valid_days, 0, "endorse: days after which the anchor expires; 0 = never")
      ->group("Statement");
  add_choice(app, "--role", options->role, {"root", "operator", "approver", "witness"}, "key: what it may sign")
      ->group("Statement");
  add_text(app, "--vkey", options->vkey, "KEY", "key: its public half, as `fieldprint memory keygen` prints it")
      ->group("Statement");
  add_flag(app, "--retire", options->retire, "key: it may sign no longer")->group("Statement");
  add_texts(app, "--set", options->set, "RULE=N",
            "policy: a rule by its name in `fieldprint memory status`; repeatable")
      ->group("Statement");
  add_text(app, "--out", change.statement_out, "FILE", "Where to, if not standard output")->group("Output");
  add_access(app, change.memory);
  return [options] {
    const Change& wanted = options->change;
    need(wanted.action, "a statement to do what?", "endorse, release, revoke, supersede, key or policy");
    Json params = wanted.params();
    if (wanted.id.empty()) params.erase("id");
    if (!options->role.empty()) params["role"] = options->role;
    if (!options->vkey.empty()) params["vkey"] = options->vkey;
    if (options->retire) params["change"] = "retire";
    for (const std::string& rule : options->set) {
      const size_t equals = rule.find('=');
      if (equals == std::string::npos)
        throw Error(ErrorKind::kUsage, fmt::format("--set {} sets no number", rule), {}, "--set approvals=2");
      params["policy"][rule.substr(0, equals)] =
          parse_integer(rule.substr(equals + 1), 0, INT64_MAX, "--set " + rule.substr(0, equals));
    }
    const Json result = Access(wanted.memory).call("statement", params);
    if (wanted.memory.json) write_json(result, 2);
    else write_to(wanted.statement_out, result.at("text").get<std::string>());
    return kDone;
  };
}

Action add_memory_sign(CLI::App& app) {
  struct Options {
    std::string file, out;
    std::vector<std::string> keys;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "FILE", options->file, "FILE", "A statement, or a command of the override; standard input if left out");
  add_texts(app, "--key", options->keys, "FILE", "Sign with this key; repeatable")->group(kSignGroup);
  add_text(app, "--out", options->out, "FILE", "Where to, if not standard output")->group("Output");
  app.footer("  fieldprint memory sign statement.txt --key approver-1.key --out signed.note");
  return [options] {
    if (options->keys.empty()) throw Error(ErrorKind::kUsage, "sign with which key?", {}, "--key FILE");
    const std::string text =
        options->file.empty() ? read_input("`fieldprint memory sign FILE --key FILE`") : read_file(options->file);
    const std::string done = sign_with(text, options->keys);  // refuses what is no statement
    write_err("signing:\n" + done.substr(0, done.find("\n\n") + 1));
    write_to(options->out, done);
    return kDone;
  };
}

Action add_memory_submit(CLI::App& app) {
  struct Options {
    MemoryFlags memory;
    std::string file;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "FILE", options->file, "FILE", "The signed statement; standard input if left out");
  add_access(app, options->memory);
  return [options] {
    const std::string text =
        options->file.empty() ? read_input("`fieldprint memory submit FILE`") : read_file(options->file);
    Access access(options->memory);
    return submit(options->memory, access, text);
  };
}

}  // namespace fieldprint::cli
