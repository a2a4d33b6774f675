// What every request passes before its endpoint, and how what is thrown becomes a reply.
#include "fieldprint/server.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/api_error.h"
#include "server/endpoint.h"
#include "server/guard.h"
#include "server/http_server.h"
#include "server/service.h"

namespace fieldprint {

using namespace server;

namespace {

std::string key_of(const HttpRequest& request) {
  const std::string bearer = bearer_token(request);
  return bearer.empty() ? std::string(request.header("x-api-key")) : bearer;  // as Anthropic's clients send it
}

// Whether Anthropic's API is spoken, whose errors look otherwise.
bool is_anthropic(const HttpRequest& request) {
  return request.path.starts_with("/v1/messages") || !request.header("anthropic-version").empty();
}

// What passes headers and bytes on, and notes the status for the log.
class NotedReply final : public HttpReply {
 public:
  NotedReply(HttpReply& inner, std::vector<std::pair<std::string, std::string>> headers)
      : inner_(inner), headers_(std::move(headers)) {}
  void send(HttpResponse response) override {
    note(response);
    inner_.send(std::move(response));
  }
  void begin(HttpResponse head) override {
    note(head);
    inner_.begin(std::move(head));
  }
  void write(std::string_view chunk) override { inner_.write(chunk); }
  void end() override { inner_.end(); }
  bool begun() const override { return inner_.begun(); }
  void on_disconnect(std::function<void()> gone) override { inner_.on_disconnect(std::move(gone)); }
  int status() const { return status_; }

 private:
  void note(HttpResponse& response) {
    status_ = response.status;
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  }
  HttpReply& inner_;
  const std::vector<std::pair<std::string, std::string>> headers_;
  int status_ = 0;
};

}  // namespace

struct Server::State {
  State(std::shared_ptr<const Model> model, const ServerOptions& options)
      : service(std::move(model), options),
        loopback(is_loopback(options.host)),
        http(
            {.host = options.host,
             .port = options.port,
             .unix_socket = options.unix_socket,
             .certificate = options.certificate,
             .key = options.certificate_key,
             .connections = options.connections,
             .body_bytes = options.body_bytes},
            [this](HttpRequest& request, HttpReply& reply) { handle(request, reply); },
            [](int status, const std::string& what) {
              return HttpResponse{.status = status, .body = error_body({status, what})};
            }) {}

  Service service;
  const bool loopback;
  HttpServer http;  // last: it may call handle() as soon as it is there

  void handle(HttpRequest& request, HttpReply& reply);
  void answer(HttpRequest& request, HttpReply& reply, const Endpoint*& endpoint);
  void check_host(const HttpRequest& request) const;
  std::vector<std::pair<std::string, std::string>> cors_headers(const HttpRequest& request) const;
  std::string checked_key(const HttpRequest& request) const;
};

// A page anywhere on the web may make a name of its own point to 127.0.0.1; only names that are ours are answered to.
void Server::State::check_host(const HttpRequest& request) const {
  const std::string host = host_name(request.header("host"));
  if (!loopback || host.empty() || is_loopback(host)) return;
  const auto& known = service.options.hosts;
  if (std::find(known.begin(), known.end(), host) == known.end())
    throw ApiError(403, fmt::format("this server is not called '{}' (--allow-host names it)", host));
}

// Throws ApiError 403 for a page of an origin that is not allowed: its request would already have done something.
std::vector<std::pair<std::string, std::string>> Server::State::cors_headers(const HttpRequest& request) const {
  const std::string origin(request.header("origin"));
  if (origin.empty()) return {};
  const auto& allowed = service.options.cors;
  const bool all = std::find(allowed.begin(), allowed.end(), "*") != allowed.end();
  const bool same = origin.substr(std::min(origin.find("://"), origin.size() - std::min<size_t>(3, origin.size())) +
                                  3) == request.header("host");
  const bool listed = all || std::find(allowed.begin(), allowed.end(), origin) != allowed.end();
  if (!same && !listed)
    throw ApiError(403, fmt::format("pages of {} may not use this server (--cors allows them)", origin));
  if (!listed) return {};
  return {{"Access-Control-Allow-Origin", all ? "*" : origin},
          {"Access-Control-Expose-Headers", "X-Request-Id"},
          {"Vary", "Origin"}};
}

std::string Server::State::checked_key(const HttpRequest& request) const {
  const auto& keys = service.options.keys;
  if (keys.empty()) return {};
  const std::string key = key_of(request);
  bool known = false;
  for (const std::string& each : keys) known = equal_keys(each, key) || known;
  if (!known) {
    ApiError error(401, key.empty() ? "an API key is needed: Authorization: Bearer KEY" : "this API key is not known",
                   "", "invalid_api_key");
    error.headers.emplace_back("WWW-Authenticate", "Bearer");
    throw error;
  }
  return key;
}

void Server::State::answer(HttpRequest& request, HttpReply& reply, const Endpoint*& endpoint) {
  if (request.method == "OPTIONS") {
    reply.send({.status = 204,
                .type = "",
                .headers = {{"Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
                            {"Access-Control-Allow-Headers",
                             request.header("access-control-request-headers").empty()
                                 ? "Authorization, Content-Type"
                                 : std::string(request.header("access-control-request-headers"))},
                            {"Access-Control-Max-Age", "600"}}});
    return;
  }
  endpoint = &find_endpoint(request);
  if (endpoint->access == Access::kKey) request.key = checked_key(request);
  endpoint->handler(service, request, reply);
}

void Server::State::handle(HttpRequest& request, HttpReply& inner) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<ApiError> refused;
  try {
    check_host(request);
    headers = cors_headers(request);
  } catch (const ApiError& error) {
    refused = error;
  }
  if (is_anthropic(request)) headers.emplace_back("Request-Id", request.id);  // where its clients look for it
  NotedReply reply(inner, std::move(headers));
  const Endpoint* endpoint = nullptr;
  bool gone = false;
  if (!refused) {
    try {
      answer(request, reply, endpoint);
    } catch (const Disconnected&) {
      gone = true;
    } catch (const ApiError& error) {
      refused = error;
    } catch (const Error& error) {
      refused = api_error(error);
    } catch (const std::bad_alloc&) {
      refused = ApiError(503, "there is not enough memory for this request");
      refused->headers.emplace_back("Retry-After", "5");
    } catch (const std::exception& error) {
      refused = ApiError(500, error.what());
    }
  }
  try {
    if (refused && !reply.begun())
      reply.send({.status = refused->status,
                  .body = error_body(*refused, is_anthropic(request)),
                  .headers = refused->headers});
  } catch (const Disconnected&) {
    gone = true;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const int status = gone ? 499 : reply.status();
  service.metrics.request(endpoint != nullptr ? endpoint->path : "other", status, seconds);
  if (service.options.log) {
    service.options.log(fmt::format("{} {} {} {} {:.0f} ms{}", request.id, request.method, request.path, status,
                                    seconds * 1e3, refused ? fmt::format(": {}", refused->what()) : std::string()));
  }
}

Server::Server(std::shared_ptr<const Model> model, const ServerOptions& options) {
  for (const std::string& key : options.keys)
    if (key.empty()) throw Error(ErrorKind::kUsage, "an API key is empty");
  if (options.host.empty() && options.unix_socket.empty())
    throw Error(ErrorKind::kUsage, "a server needs a host or a Unix socket to listen to");
  state_ = std::make_unique<State>(std::move(model), options);
}

Server::~Server() = default;

int Server::port() const { return state_->http.port(); }

std::string Server::url() const {
  const ServerOptions& o = state_->service.options;
  if (o.host.empty()) return "unix:" + o.unix_socket;
  const std::string host = o.host.find(':') != std::string::npos ? "[" + o.host + "]" : o.host;
  return fmt::format("{}://{}:{}", o.certificate.empty() ? "http" : "https", host, port());
}

void Server::stop(std::chrono::milliseconds patience) { state_->http.stop(patience); }

}  // namespace fieldprint
