// `fieldprint memory init | keygen | status`: a memory, the keys of the people who stand above it, and how it stands.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "fieldprint/error.h"
#include "fieldprint/memory_setup.h"
#include "files.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/present.h"
#include "options.h"
#include "output.h"
#include "settings.h"

namespace fieldprint::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* kKeysGroup = "Keys";
constexpr const char* kOwnKeys = "~";  // --generate-keys without a folder

// The keys of a first memory, and what each is for.
struct NewKey {
  const char* role;
  const char* file;
  const char* use;
};
constexpr NewKey kNewKeys[] = {
    {"root", "root.key", "changes keys and rules; seldom needed: move it off this machine"},
    {"operator", "operator.key", "revokes and stops; keep it within reach, it can raise nothing"},
    {"approver", "approver-1.key", "endorses what the agent is held to: move it where the agent cannot read it"},
    {"approver", "approver-2.key", "the second signature where outside text is in it: give it to another person"},
};

struct Init {
  MemoryFlags memory;
  MemorySetup setup;
  std::string generate;
  std::vector<std::string> root, operators, approvers, witnesses, sockets;
  int approvals = 1, approvals_external = 2, anchor_tokens = 128;
};

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != 0 ? name : "localhost";
}

// A verifier key as it is, or that of a key file.
std::string vkey_of(const std::string& given) {
  std::error_code error;
  if (!fs::is_regular_file(given, error)) return given;
  std::string text = read_file(given);
  if (text.starts_with("PRIVATE+KEY+")) return memory_key_of(given);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

fs::path keys_folder(const Init& init) {
  if (init.generate != kOwnKeys) return init.generate;
  const std::string folder = user_folder("XDG_CONFIG_HOME", ".config");
  if (folder.empty()) throw Error(ErrorKind::kUsage, "where should the keys be?", {}, "--generate-keys DIR");
  std::string name = init.setup.origin;
  std::ranges::replace(name, '/', '-');
  return fs::path(folder) / "keys" / name;
}

// Makes the set; on an error what it made is gone again.
class NewKeys {
 public:
  NewKeys(const fs::path& folder, const std::string& origin) {
    try {
      if (!fs::exists(folder)) {
        fs::create_directories(folder);
        fs::permissions(folder, fs::perms::owner_all);
      }
      for (const NewKey& key : kNewKeys) {
        const fs::path file = folder / key.file;
        const std::string name = origin + "/" + fs::path(key.file).stem().string();
        keys_.push_back({key.role, make_memory_key(name, file.string())});
        files_.push_back(file);
      }
    } catch (const fs::filesystem_error& error) {
      remove();
      throw Error(ErrorKind::kIo, error.code().message(), folder.string());
    } catch (...) {
      remove();
      throw;
    }
  }
  ~NewKeys() {
    if (!kept_) remove();
  }
  NewKeys(const NewKeys&) = delete;
  NewKeys& operator=(const NewKeys&) = delete;

  void keep() { kept_ = true; }
  const std::vector<MemoryKey>& keys() const { return keys_; }
  const std::vector<fs::path>& files() const { return files_; }

 private:
  void remove() {
    std::error_code ignored;
    for (const fs::path& file : files_) fs::remove(file, ignored);
  }

  std::vector<MemoryKey> keys_;
  std::vector<fs::path> files_;
  bool kept_ = false;
};

void add_given(MemorySetup& setup, const char* role, const std::vector<std::string>& given) {
  for (const std::string& key : given) setup.keys.push_back({role, vkey_of(key)});
}

int make(Init init) {
  MemorySetup& setup = init.setup;
  setup.directory = init.memory.path();
  if (setup.origin.empty()) setup.origin = host_name() + "/" + setup.agent;
  if (setup.origin.find_first_of(" \t\n+") != std::string::npos) {  // before keys are called after it
    throw Error(ErrorKind::kUsage, "the origin is a name without spaces and '+', such as example.org/assistant");
  }
  if (!setup.model.empty()) setup.model = model_path(setup.model);
  setup.approvals = init.approvals;
  setup.approvals_external = init.approvals_external;
  setup.anchor_tokens = init.anchor_tokens;
  add_given(setup, "root", init.root);
  add_given(setup, "operator", init.operators);
  add_given(setup, "approver", init.approvers);
  if (init.witnesses.size() != init.sockets.size())
    throw Error(ErrorKind::kUsage, "each --witness needs its --witness-socket, in the same order");
  for (size_t i = 0; i < init.sockets.size(); ++i) {
    setup.witnesses.push_back({vkey_of(init.witnesses[i]), init.sockets[i]});
  }
  if (init.generate.empty() && setup.keys.empty()) {
    throw Error(
        ErrorKind::kUsage, "who stands above this memory?", {},
        "--generate-keys makes a set of keys for a start; --root, --operator and --approver name keys that are there");
  }
  std::optional<NewKeys> made;
  if (!init.generate.empty()) {
    made.emplace(keys_folder(init), setup.origin);
    setup.keys.insert(setup.keys.end(), made->keys().begin(), made->keys().end());
  }
  make_memory(setup);
  if (made) made->keep();

  if (init.memory.json) {
    Json keys = Json::array();
    for (size_t i = 0; i < setup.keys.size(); ++i) {
      keys.push_back({{"role", setup.keys[i].role}, {"vkey", setup.keys[i].vkey}});
      const size_t given = made ? setup.keys.size() - made->keys().size() : setup.keys.size();
      if (i >= given) keys.back()["file"] = made->files()[i - given].string();
    }
    write_json({{"directory", setup.directory}, {"origin", setup.origin}, {"agent", setup.agent}, {"keys", keys}}, 2);
    return kDone;
  }
  write_out(fmt::format("made the memory {}\nits ledger is called {}, its agent {}\n", printable_line(setup.directory),
                        setup.origin, printable_line(setup.agent)));
  if (made) {
    write_out("\nThese files are the keys. The memory knows their public halves only:\n");
    for (size_t i = 0; i < std::size(kNewKeys); ++i) {
      write_out(fmt::format("  {}\n      {}: {}\n", printable_line(made->files()[i].string()), kNewKeys[i].role,
                            kNewKeys[i].use));
    }
    write_out(
        "Whoever can read both approver keys can make the agent believe anything. Keep them\n"
        "off the machine that the agent runs on: `fieldprint memory sign` works anywhere.\n");
  }
  write_out("\nnext: `fieldprint memory add \"Something to remember.\"`\n");
  return kDone;
}

}  // namespace

Action add_memory_init(CLI::App& app) {
  auto init = std::make_shared<Init>();
  MemorySetup& setup = init->setup;
  add_text(app, "--origin", setup.origin, "TEXT", "The ledger's name, such as example.org/assistant")
      ->default_str("HOST/AGENT")
      ->group("Memory");
  add_text(app, "--agent", setup.agent, "TEXT", "The agent whose memory it is")->group("Memory");
  add_text(app, "--encoder", setup.encoder, "TEXT",
           "What makes texts comparable: ngram, which needs no model, or model")
      ->group("Memory");
  add_text(app, "--encoder-model", setup.model, "MODEL", "The model of the encoder `model`: a name or a GGUF file")
      ->group("Memory");
  add_optional(app, "--generate-keys", init->generate, kOwnKeys, "DIR",
               "Make a root, an operator and two approver keys, in ~/.config/fieldprint/keys if not in DIR")
      ->group(kKeysGroup);
  add_texts(app, "--root", init->root, "FILE", "A root key, as a file or its public half; repeatable")
      ->group(kKeysGroup);
  add_texts(app, "--operator", init->operators, "FILE", "An operator's key, likewise")->group(kKeysGroup);
  add_texts(app, "--approver", init->approvers, "FILE", "An approver's key, likewise")->group(kKeysGroup);
  add_texts(app, "--witness", init->witnesses, "FILE", "The key of a witness that has to cosign, likewise")
      ->group(kKeysGroup);
  add_texts(app, "--witness-socket", init->sockets, "FILE", "Where that witness answers")->group(kKeysGroup);
  add_integer(app, "--approvals", init->approvals, 1, "Signatures that an endorsement needs")->group("Rules");
  add_integer(app, "--approvals-external", init->approvals_external, 2, "And where something from outside is in it")
      ->group("Rules");
  add_integer(app, "--anchor-tokens", init->anchor_tokens, 1, "Tokens of all anchors at most")->group("Rules");
  add_memory(app, init->memory);
  add_json(app, init->memory.json);
  app.footer(
      "  fieldprint memory init --generate-keys\n"
      "  fieldprint memory init --memory ./memory --origin example.org/helper \\\n"
      "    --root root.vkey --operator op.vkey --approver ann.vkey --approver bob.vkey");
  return [init] { return make(*init); };
}

Action add_memory_keygen(CLI::App& app) {
  struct Options {
    std::string file, name, shown;
    bool witness = false, json = false;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "FILE", options->file, "FILE", "Where the key goes; never over a file that is there");
  add_text(app, "--name", options->name, "TEXT", "Whose key it is, such as example.org/ann; no spaces, no +")
      ->group(kKeysGroup);
  add_flag(app, "--for-witness", options->witness, "A witness's key, whose signatures say when")->group(kKeysGroup);
  add_text(app, "--show", options->shown, "FILE", "Only show the public half of this key")->group(kKeysGroup);
  add_json(app, options->json);
  app.footer(
      "  fieldprint memory keygen ann.key --name example.org/ann\n"
      "  fieldprint memory keygen --show ann.key");
  return [options] {
    std::string vkey, file = options->shown;
    if (!options->shown.empty()) {
      vkey = memory_key_of(options->shown);
    } else {
      need(options->file, "into which file?", "`fieldprint memory keygen ann.key --name example.org/ann`");
      need(options->name, "whose key is it?", "--name example.org/ann");
      file = options->file;
      vkey = options->witness ? make_witness_key(options->name, file) : make_memory_key(options->name, file);
      if (!options->json) note(fmt::format("{} holds the secret half; this is the public one:", file));
    }
    if (options->json) write_json({{"file", file}, {"vkey", vkey}}, 2);
    else write_out(vkey + "\n");
    return kDone;
  };
}

namespace {

void show_status(const Json& status) {
  std::string records;
  for (const auto& [name, count] : status.at("records").items()) {
    records += fmt::format("{}{} {}", records.empty() ? "" : ", ", count.dump(), name);
  }
  std::vector<std::pair<std::string, std::string>> fields = {
      {"memory", text_at(status, "directory")},
      {"ledger", text_at(status, "origin")},
      {"agent", text_at(status, "agent")},
      {"events", fmt::format("{}, {} signed", number_at(status, "size"), number_at(status, "signed_size"))},
      {"records", records.empty() ? "none" : records},
      {"encoder", text_at(status, "encoder")},
  };
  if (const std::string frozen = text_at(status, "frozen"); !frozen.empty()) fields.emplace_back("frozen", frozen);
  print_fields(fields);
  write_out("\n");
  std::vector<std::vector<std::string>> rules;
  for (const auto& [name, value] : status.at("policy").items()) rules.push_back({name, value.dump()});
  print_table({"RULE", "VALUE"}, rules);
  write_out("\n");
  std::vector<std::vector<std::string>> keys;
  for (const Json& key : status.at("keys")) {
    keys.push_back({text_at(key, "role") + (key.value("retired", false) ? " (retired)" : ""),
                    printable_line(text_at(key, "vkey"))});
  }
  print_table({"ROLE", "KEY"}, keys);
}

}  // namespace

Action add_memory_status(CLI::App& app) {
  auto flags = std::make_shared<MemoryFlags>();
  add_access(app, *flags);
  return [flags] { return call_and_show(*flags, "status", Json::object(), show_status); };
}

}  // namespace fieldprint::cli
