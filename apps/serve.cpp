// `fieldprint serve`: the model for other programs, over HTTP, and a page for people.
#include <fmt/format.h>
#include <poll.h>

#include <filesystem>

#include "command.h"
#include "fieldprint/embed.h"
#include "fieldprint/error.h"
#include "fieldprint/server.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "remembering.h"
#include "sampling_flags.h"
#include "settings.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Serve {
  ModelOptions model;
  std::string named, encoder, key_file, data;
  SamplingOptions sampling;
  SamplingDefaults sampling_defaults;
  ServerOptions options;
  MemoryChoice memory;
  int drain = 30, body_megabytes = 64;
  bool no_page = false, no_data = false, quiet = false;

  void read_keys();
  int operator()();
};

// "512M" and its kin: powers of 1024.
uint64_t parse_bytes(std::string_view text, std::string_view what) {
  static constexpr std::string_view kUnits = "KMGT";
  const size_t unit = text.empty() ? kUnits.npos : kUnits.find(static_cast<char>(std::toupper(text.back())));
  if (unit != kUnits.npos) text.remove_suffix(1);
  const int shift = unit == kUnits.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
  return static_cast<uint64_t>(parse_integer(text, 0, INT64_MAX >> shift, what)) << shift;
}

// One a line; blank lines and those that begin with # are none.
void Serve::read_keys() {
  if (key_file.empty()) return;
  const std::string text = read_file(key_file);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
    line.erase(0, line.find_first_not_of(" \t"));
    if (!line.empty() && line.front() != '#') options.keys.push_back(line);
  }
  if (options.keys.empty())
    throw Error(ErrorKind::kUsage, "holds no API key", key_file, "one a line; lines that begin with # are comments");
}

int Serve::operator()() {
  if (!named.empty() && !model.model.empty())
    throw Error(ErrorKind::kUsage, "the model is named twice", {}, "`fieldprint serve MODEL`");
  read_keys();
  const std::string path = model_path(named.empty() ? model.model : named);
  const std::string encoder_path = encoder.empty() ? "" : model_path(encoder);
  const SignalGuard guard;
  auto loaded = load_model(path, model.load);
  if (!encoder_path.empty()) {
    LoadOptions load = model.load;
    load.adapters.clear();  // they are the other model's
    options.encoder = load_model(encoder_path, load);
  }
  if (!is_encoder(*loaded)) {
    sampling_defaults(*loaded, -1);
    check_sampling(sampling, loaded->tokenizer());
  }
  options.sampling = sampling;
  load_draft(model);
  options.scheduler.session = model.session;
  if (!memory.directory.empty()) options.memory = reach_memory(memory.directory);
  options.memory_principal = memory.principal;
  options.body_bytes = static_cast<size_t>(body_megabytes) << 20;
  options.page = !no_page;
  if (const auto* entry = find_catalog_entry(path); entry != nullptr && options.model_name.empty())
    options.model_name = entry->name;
  if (!no_data) options.data_directory = data.empty() ? user_folder("XDG_STATE_HOME", ".local/state") : data;
  if (!quiet) options.log = [](std::string_view line) { write_err(fmt::format("{}\n", printable_line(line))); };

  const std::string title = options.model_name.empty() ? model_title(loaded->info()) : options.model_name;
  Server server(std::move(loaded), options);
  if (options.keys.empty() && options.host != "127.0.0.1" && options.host != "localhost" && options.host != "::1" &&
      !options.host.empty())
    note("anybody who reaches this address may use the model: --api-key-file FILE asks for a key");
  write_out(fmt::format("{} is served at {}\n", title, server.url()));
  flush_out();
  while (!interrupted()) {
    pollfd wait{signal_fd(), POLLIN, 0};
    ::poll(&wait, 1, -1);
    window_changed();  // empties it
  }
  if (!quiet) note("no further requests are taken; those under way may end");
  clear_interrupt();
  server.stop(std::chrono::seconds(drain));
  return kDone;
}

}  // namespace

Action add_serve(CLI::App& app) {
  auto serve = std::make_shared<Serve>();
  ServerOptions& o = serve->options;
  add_text(app, "MODEL", serve->named, "MODEL", "A name that `fieldprint models` lists, or a GGUF file");
  add_model(app, serve->model.model);
  const auto in = [&](const char* group, CLI::Option* option) { option->group(group); };
  constexpr const char* kListen = "Listening";
  in(kListen, add_text(app, "--host", o.host, "ADDRESS", "Listen on this address; 0.0.0.0 = on all networks"));
  in(kListen, add_integer(app, "-p,--port", o.port, 0, "Listen on this port; 0 = any free one"));
  in(kListen, add_text(app, "--unix-socket", o.unix_socket, "FILE", "Listen on a Unix socket, too"));
  in(kListen,
     add_text(app, "--tls-cert,--ssl-cert-file", o.certificate, "FILE", "Speak TLS, with this certificate (PEM)"));
  in(kListen,
     add_text(app, "--tls-key,--ssl-key-file", o.certificate_key, "FILE", "The certificate's private key (PEM)"));
  constexpr const char* kAccess = "Access";
  in(kAccess, add_text(app, "--api-key-file", serve->key_file, "FILE", "Ask for one of these API keys, one a line"));
  in(kAccess,
     add_texts(app, "--api-key", o.keys, "KEY",
               "Ask for this API key; others on this machine can read it here, not in the environment (repeatable)"));
  in(kAccess, add_flag(app, "--isolate-keys", o.isolate_keys, "Share nothing that was computed between API keys"));
  in(kAccess, add_texts(app, "--cors", o.cors, "ORIGIN",
                        "Let pages of this origin use the server, as in https://example.com; * = all (repeatable)"));
  in(kAccess, add_texts(app, "--allow-host", o.hosts, "NAME",
                        "A name that the server is called by besides localhost (repeatable)"));
  constexpr const char* kServing = "Serving";
  in(kServing, add_text(app, "-a,--alias", o.model_name, "NAME", "What replies call the model"));
  in(kServing, add_text(app, "--encoder", serve->encoder, "MODEL", "Answer /v1/embeddings with this model"));
  in(kServing,
     add_integer(app, "--streams,--parallel", o.scheduler.streams, 1, "Answers at the same time; further ones wait"));
  in(kServing, add_integer(app, "--queue", o.scheduler.waiting, 0, "Requests that may wait; further ones get 503"));
  const auto bytes = [&](const char* name, uint64_t& target, const std::string& about) {
    in(kServing, add_value(app, name, "BYTES", about + "; K, M and G work", [&target, name](const std::string& text) {
                   target = parse_bytes(text, name);
                 })->default_str(bytes_text(target)));
  };
  bytes("--cache-bytes", o.scheduler.cache_bytes, "Memory for what later prompts may begin with; 0 = none stays");
  in(kServing, add_text(app, "--cache-dir", o.scheduler.cache_directory, "FOLDER",
                        "Keep that on disk too, so that it outlives a restart"));
  bytes("--cache-disk-bytes", o.scheduler.cache_disk_bytes, "How much of the disk that may take");
  in(kServing, add_integer(app, "--connections", o.connections, 1, "Open connections at most"));
  in(kServing, add_integer(app, "--body-megabytes", serve->body_megabytes, 1, "The longest request"));
  in(kServing, add_integer(app, "--drain", serve->drain, 0, "Seconds that answers may take after SIGTERM"));
  in(kServing, add_text(app, "--data-dir", serve->data, "FOLDER", "Keep conversations and saved sessions here"));
  in(kServing, add_flag(app, "--no-data", serve->no_data, "Keep nothing on disk"));
  in(kServing, add_flag(app, "--no-page", serve->no_page, "Leave the page out"));
  add_memory_choice(app, serve->memory);
  add_context(app, serve->model.session);
  add_experts(app, serve->model.load);
  add_adapters(app, serve->model.load);
  serve->sampling_defaults = add_sampling(app, serve->sampling);
  add_quiet(app, serve->quiet);
  add_threads(app, serve->model.load);
  add_speculation(app, serve->model);
  add_executor(app, serve->model.session);
  app.footer(
      "  fieldprint serve\n"
      "  fieldprint serve qwen2.5-coder-1.5b --port 9000 --streams 4\n"
      "  curl localhost:8080/v1/completions -d '{\"prompt\": \"The capital of France is\"}'");
  return [serve] { return (*serve)(); };
}

}  // namespace fieldprint::cli
