#include "mcp/http_transport.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random_id.h"
#include "fieldprint/error.h"
#include "mcp/mirrored_headers.h"
#include "server/event_stream.h"
#include "server/guard.h"

namespace fieldprint::mcp {
namespace {

using server::HttpReply;
using server::HttpRequest;
using server::HttpResponse;

constexpr const char* kPath = "/mcp";
constexpr const char* kSessionHeader = "mcp-session-id";

// What is answered before any message has been understood.
struct Refused {
  int status;
  std::string what;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

HttpResponse error_response(int status, const std::string& what) {
  return {.status = status, .body = to_text(error_reply(nullptr, RpcError(kInvalidRequest, what)))};
}

bool accepts(const HttpRequest& http, std::string_view type) {
  const std::string_view accept = http.header("accept");
  return accept.find(type) != accept.npos || accept.find("*/*") != accept.npos;
}

bool is_initialize_version(std::string_view version) {
  return std::find(std::begin(kInitializeVersions), std::end(kInitializeVersions), version) !=
         std::end(kInitializeVersions);
}

void check_origin(const HttpRequest& http) {
  if (!server::is_loopback(server::host_name(http.header("host"))))
    throw Refused{403, fmt::format("this server is not called '{}'", http.header("host"))};
  const std::string_view origin = http.header("origin");
  if (origin.empty()) return;
  const size_t scheme = origin.find("://");
  if (scheme == origin.npos || !server::is_loopback(server::host_name(origin.substr(scheme + 3))))
    throw Refused{403, fmt::format("pages of {} may not use this server", origin)};
}

// Errors of 2026-07-28 that are a status of their own; 200 where the request was understood and what it asks for
// failed.
int status_of(const Json& reply) {
  const auto error = reply.find("error");
  if (error == reply.end()) return 200;
  switch ((*error)["code"].get<int>()) {
    case kMethodNotFound:
      return 404;
    case kMissingClientCapability:
    case kUnsupportedVersion:
    case kHeaderMismatch:
      return 400;
    default:
      return 200;
  }
}

}  // namespace

// One JSON object, or a stream from the first notification on, where the client takes streams.
class HttpTransport::Answer {
 public:
  Answer(HttpReply& reply, bool streams) : reply_(reply), streams_(streams) {}

  // Does not throw: a client that is gone is noticed by on_disconnect().
  void note(const Json& message) {
    if (!streams_) return;
    try {
      begin().event("message", message);
    } catch (const server::Disconnected&) {
    }
  }

  void finish(const std::optional<Json>& message, int status) {
    if (!events_ && message)
      return reply_.send({.status = status, .body = to_text(*message), .headers = std::move(headers)});
    if (!events_ && !streams_) return reply_.send({.status = 202, .type = ""});  // cancelled
    if (message) begin().event("message", *message);
    begin().end();
  }

  std::vector<std::pair<std::string, std::string>> headers;  // of a reply that is no stream

 private:
  server::EventStream& begin() {
    if (!events_) events_.emplace(reply_);
    return *events_;
  }

  HttpReply& reply_;
  const bool streams_;
  std::optional<server::EventStream> events_;
};

HttpTransport::HttpTransport(const ToolServer& server, const HttpTransportOptions& options)
    : server_(server), options_(options), everybody_(options.principal, "http") {
  if (!server::is_loopback(options.host))
    throw Error(ErrorKind::kUsage,
                fmt::format("'{}' is not this machine: MCP is served on loopback only", options.host), {},
                "127.0.0.1, ::1 or localhost");
  http_ = std::make_unique<server::HttpServer>(
      server::HttpOptions{.host = options.host,
                          .port = options.port,
                          .io_threads = 1,
                          .connections = options.connections,
                          .body_bytes = kMaxMessageBytes},
      [this](HttpRequest& request, HttpReply& reply) { handle(request, reply); }, error_response);
}

HttpTransport::~HttpTransport() {
  if (http_) stop(std::chrono::milliseconds(0));
}

std::string HttpTransport::url() const {
  const bool six = options_.host.find(':') != std::string::npos;
  return fmt::format("http://{}:{}{}", six ? "[" + options_.host + "]" : options_.host, port(), kPath);
}

void HttpTransport::stop(std::chrono::milliseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [id, session] : sessions_) session.peer->close_all();
    for (const auto& [key, call] : stateless_) call->close();
  }
  http_->stop(patience);
  http_.reset();
}

void HttpTransport::handle(HttpRequest& http, HttpReply& reply) {
  try {
    try {
      check_origin(http);
      if (!options_.token.empty() && !server::equal_keys(options_.token, server::bearer_token(http)))
        throw Refused{401, "a token is needed: Authorization: Bearer TOKEN", {{"WWW-Authenticate", "Bearer"}}};
      if (http.path != kPath) throw Refused{404, fmt::format("there is nothing at {}, only {}", http.path, kPath)};
      if (http.method == "POST") return post(http, reply);
      const bool stateless = http.header("mcp-protocol-version") == kStatelessVersion;
      if (http.method == "GET" && !stateless) return get(http, reply);
      if (http.method == "DELETE" && !stateless) return remove(http, reply);
      throw Refused{405, fmt::format("{} is not answered here", http.method), {{"Allow", "POST, GET, DELETE"}}};
    } catch (const Refused& refused) {
      if (reply.begun()) return;
      HttpResponse response = error_response(refused.status, refused.what);
      response.headers = refused.headers;
      reply.send(std::move(response));
    } catch (const std::exception& error) {
      if (!reply.begun()) reply.send(error_response(500, error.what()));
    }
  } catch (const server::Disconnected&) {
  }
}

void HttpTransport::post(const HttpRequest& http, HttpReply& reply) {
  if (!http.header("content-type").starts_with("application/json"))
    throw Refused{415, "the body has to be application/json"};
  const bool streams = accepts(http, "text/event-stream");
  if (!http.header("accept").empty() && !streams && !accepts(http, "application/json"))
    throw Refused{406, "answers are application/json or text/event-stream"};

  Json json;
  Message message;
  const std::string_view version = http.header("mcp-protocol-version");
  bool stateless = false;
  try {
    json = parse_text(http.body);
    if (json.is_array()) {
      const Json replies = server_.answer_batch(json, *session_of(http), [](const Json&) {});
      if (replies.empty()) return reply.send({.status = 202, .type = ""});
      return reply.send({.body = to_text(replies)});
    }
    message = message_from(json);
    const auto meta = message.params.find("_meta");
    stateless = (!version.empty() && !is_initialize_version(version)) || message.method == "server/discover" ||
                (meta != message.params.end() && meta->is_object() && meta->contains(kMetaVersion));
    if (stateless && message.kind == Message::Kind::kRequest) check_headers(http, message, server_);
  } catch (const RpcError& error) {
    return reply.send({.status = 400, .body = to_text(error_reply(id_of(json), error))});
  }

  Answer answer(reply, streams);
  const auto notify = [&](const Json& note) { answer.note(note); };
  if (stateless) {
    if (message.kind != Message::Kind::kRequest) return reply.send({.status = 202, .type = ""});
    const auto call = std::make_shared<Call>();
    {
      const std::lock_guard lock(mutex_);
      stateless_[call.get()] = call;
      if (stopping_) call->close();
    }
    reply.on_disconnect([call] { call->cancel(); });
    const bool listens = message.method == "subscriptions/listen";
    std::optional<Json> result;
    if (listens && ++streams_ > options_.streams)
      result = error_reply(message.id, RpcError(kInternalError, "there are too many streams"));
    else result = server_.answer(message, Era::kStateless, everybody_, *call, notify);
    if (listens) --streams_;
    {
      const std::lock_guard lock(mutex_);
      stateless_.erase(call.get());
    }
    return answer.finish(result, result ? status_of(*result) : 200);
  }

  std::shared_ptr<Peer> peer;
  std::string opened;
  if (message.method == "initialize" && message.kind == Message::Kind::kRequest) {
    opened = random_id();
    peer = std::make_shared<Peer>(options_.principal, "http-" + opened);
  } else {
    peer = session_of(http);
  }
  if (message.kind != Message::Kind::kRequest) {
    server_.take_note(message, *peer);
    return reply.send({.status = 202, .type = ""});
  }
  std::optional<Json> result;
  try {
    const auto call = peer->begin(message.id);
    result = server_.answer(message, Era::kInitialize, *peer, *call, notify);
    peer->end(message.id);
  } catch (const RpcError& error) {
    result = error_reply(message.id, error);
  }
  if (!opened.empty() && !peer->agreed().version.empty()) {
    open_session(peer, opened);
    answer.headers.emplace_back("Mcp-Session-Id", opened);
  }
  answer.finish(result, 200);
}

void HttpTransport::get(const HttpRequest& http, HttpReply& reply) {
  const std::shared_ptr<Peer> peer = session_of(http);
  if (!accepts(http, "text/event-stream")) throw Refused{406, "a stream is text/event-stream"};
  struct Counted {
    std::atomic<int>& count;
    ~Counted() { --count; }
  } counted{streams_};
  if (++streams_ > options_.streams) throw Refused{503, "there are too many streams", {{"Retry-After", "60"}}};
  // Nothing is ever sent on it: a client that keeps it open sees when the server goes.
  const Json key = fmt::format("stream {}", http.id);
  const auto call = peer->begin(key);
  reply.on_disconnect([call] { call->cancel(); });
  try {
    const server::EventStream events(reply);
    reply.write(": here\n\n");
    while (!call->wait_for(options_.keep_alive)) reply.write(": here\n\n");
    if (!call->cancelled()) reply.end();
  } catch (const server::Disconnected&) {
  }
  peer->end(key);
}

void HttpTransport::remove(const HttpRequest& http, HttpReply& reply) {
  const std::shared_ptr<Peer> peer = session_of(http);
  {
    const std::lock_guard lock(mutex_);
    sessions_.erase(std::string(http.header(kSessionHeader)));
  }
  peer->close_all();
  reply.send({.status = 204, .type = ""});
}

std::shared_ptr<Peer> HttpTransport::session_of(const HttpRequest& http) {
  const std::string id(http.header(kSessionHeader));
  if (id.empty()) throw Refused{400, "the header Mcp-Session-Id is missing: initialize comes first"};
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) throw Refused{404, "there is no such session (any more): initialize again"};
  found->second.used = std::chrono::steady_clock::now();
  return found->second.peer;
}

void HttpTransport::open_session(std::shared_ptr<Peer> peer, const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= options_.sessions) {
    const auto oldest = std::min_element(sessions_.begin(), sessions_.end(),
                                         [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    oldest->second.peer->close_all();
    sessions_.erase(oldest);
  }
  if (stopping_) peer->close_all();
  sessions_[id] = {std::move(peer), std::chrono::steady_clock::now()};
}

}  // namespace fieldprint::mcp
