// What is computed and stays: /cache, ended sequences in memory, and /sessions, those saved under a name.
//   GET    /cache             what there is            DELETE /cache/{id}
//   GET    /sessions          what is saved            DELETE /sessions/{name}
//   POST   /sessions          {"name": "x", "id": 7}, or in place of the id "messages" or "prompt": saves the cached
//                             sequence that begins like them for the longest part
//   POST   /sessions/{name}/restore                    back into the cache, for prompts that begin like it
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/sha256.h"
#include "server/api_error.h"
#include "server/chat_request.h"
#include "server/endpoint.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kEnding = ".session";

// Where the sessions of the request's key lie; it is made.
fs::path folder(Service& service, const HttpRequest& http) {
  if (service.options.data_directory.empty()) throw ApiError(400, "this server keeps nothing on disk (--no-data)");
  fs::path path = fs::path(service.options.data_directory) / "sessions";
  // Sessions belong to the key that saved them.
  if (!http.key.empty()) {
    const std::string salted = "fieldprint sessions " + http.key;
    path /= sha256_hex(std::as_bytes(std::span(salted)));
  }
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw ApiError(500, fmt::format("{} cannot be made: {}", path.string(), error.message()));
  return path;
}

// A name is a part of a file's name, and nothing else.
fs::path file_of(Service& service, const HttpRequest& http, const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 100 && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
      });
  if (!good) throw ApiError(400, "a session's name has up to 100 letters, digits, dots, - and _", "name");
  return folder(service, http) / (name + std::string(kEnding));
}

int64_t seconds_of(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::vector<CachedSequence> own(Service& service, const HttpRequest& http) {
  auto all = service.scheduler().cached();
  std::erase_if(all, [domain = service.cache_domain(http)](const auto& each) { return each.domain != domain; });
  return all;
}

uint64_t own_id(Service& service, const HttpRequest& http, uint64_t id) {
  for (const CachedSequence& each : own(service, http))
    if (each.id == id) return id;
  throw ApiError(404, fmt::format("there is no cached sequence {}", id), "id");
}

}  // namespace

void list_cache(Service& service, const HttpRequest& http, HttpReply& reply) {
  Json list = Json::array();
  for (const CachedSequence& each : own(service, http)) {
    list.push_back({{"id", each.id},
                    {"tokens", each.tokens},
                    {"bytes", each.bytes},
                    {"disk_bytes", each.disk_bytes},
                    {"used", seconds_of(each.used)},
                    {"clearance", each.clearance},
                    {"pinned", each.pinned}});
  }
  send_json(reply, {{"object", "list"}, {"data", list}});
}

void erase_cached(Service& service, const HttpRequest& http, HttpReply& reply) {
  const std::string& text = http.parameters.at("id");
  const bool number = text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos;
  const uint64_t id = own_id(service, http, number ? std::stoull(text) : 0);
  send_json(reply, {{"id", id}, {"deleted", service.scheduler().erase_cached(id)}});
}

void list_sessions(Service& service, const HttpRequest& http, HttpReply& reply) {
  Json list = Json::array();
  for (const auto& entry : fs::directory_iterator(folder(service, http))) {
    const std::string name = entry.path().filename().string();
    std::error_code error;
    if (!name.ends_with(kEnding) || !entry.is_regular_file(error)) continue;
    list.push_back({{"name", name.substr(0, name.size() - kEnding.size())}, {"bytes", entry.file_size(error)}});
  }
  std::sort(list.begin(), list.end(), [](const Json& a, const Json& b) { return a["name"] < b["name"]; });
  send_json(reply, {{"object", "list"}, {"data", list}});
}

void save_session(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  const std::string name = fields.required_string("name");
  const fs::path path = file_of(service, http, name);
  uint64_t id = 0;
  if (const auto given = fields.integer("id", 1)) {
    id = own_id(service, http, static_cast<uint64_t>(*given));
  } else {
    std::vector<TokenId> tokens;
    if (const auto prompt = fields.string("prompt")) {
      tokens = encode_prompt(service.tokenizer(), *prompt);
    } else {
      const ChatRequest request = read_chat(fields, service);
      const ChatFormat format(
          service.tokenizer(), service.chat_template(),
          {.tools = request.tools, .where = service.model_name, .variables = request.variables, .continue_last = true});
      for (const auto& span : format.spans(request.messages))
        tokens.insert(tokens.end(), span.tokens.begin(), span.tokens.end());
    }
    id = service.scheduler().find_cached(tokens, service.cache_domain(http));
    if (id == 0) throw ApiError(404, "nothing that is cached begins like this");
  }
  service.scheduler().save_cached(id, path.string());
  std::error_code error;
  send_json(reply, {{"name", name}, {"id", id}, {"bytes", fs::file_size(path, error)}});
}

void restore_session(Service& service, const HttpRequest& http, HttpReply& reply) {
  const std::string& name = http.parameters.at("name");
  const fs::path path = file_of(service, http, name);
  std::error_code error;
  if (!fs::exists(path, error)) throw ApiError(404, fmt::format("there is no session '{}'", name), "name");
  const uint64_t id = service.scheduler().load_cached(path.string(), service.cache_domain(http));
  send_json(reply, {{"name", name}, {"id", id}});
}

void erase_session(Service& service, const HttpRequest& http, HttpReply& reply) {
  const std::string& name = http.parameters.at("name");
  std::error_code error;
  if (!fs::remove(file_of(service, http, name), error))
    throw ApiError(404, fmt::format("there is no session '{}'", name), "name");
  send_json(reply, {{"name", name}, {"deleted", true}});
}

}  // namespace fieldprint::server::endpoints_of
