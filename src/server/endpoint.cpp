#include "server/endpoint.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <vector>

#include "server/api_error.h"

namespace fieldprint::server {

namespace endpoints_of {
#define FIELDPRINT_ENDPOINT(method, path, access, handler) \
  void handler(Service& service, const HttpRequest& request, HttpReply& reply);
#include "server/endpoints.def"
#undef FIELDPRINT_ENDPOINT
}  // namespace endpoints_of

std::span<const Endpoint> endpoints() {
  static const std::vector<Endpoint> all = {
#define FIELDPRINT_ENDPOINT(method, path, access, handler) {#method, path, Access::access, endpoints_of::handler},
#include "server/endpoints.def"
#undef FIELDPRINT_ENDPOINT
  };
  return all;
}

namespace {

using Parameters = std::map<std::string, std::string>;

// What stands in the place of the {names} of `pattern`; nothing where the path is another one.
std::optional<Parameters> match(std::string_view pattern, std::string_view path) {
  Parameters found;
  for (;;) {
    const size_t brace = pattern.find('{');
    if (brace == pattern.npos) return pattern == path ? std::optional(found) : std::nullopt;
    if (path.substr(0, brace) != pattern.substr(0, brace)) return std::nullopt;
    path.remove_prefix(brace);
    const size_t close = pattern.find('}');
    std::string_view name = pattern.substr(brace + 1, close - brace - 1);
    pattern.remove_prefix(close + 1);
    const bool rest = name.ends_with("...");
    if (rest) name.remove_suffix(3);
    const size_t end = rest ? path.size() : std::min(path.find('/'), path.size());
    if (end == 0) return std::nullopt;
    found[std::string(name)] = std::string(path.substr(0, end));
    path.remove_prefix(end);
  }
}

}  // namespace

const Endpoint& find_endpoint(HttpRequest& request) {
  std::string others;
  for (const Endpoint& endpoint : endpoints()) {
    auto parameters = match(endpoint.path, request.path);
    if (!parameters) continue;
    if (endpoint.method == request.method) {
      request.parameters = *std::move(parameters);
      return endpoint;
    }
    others += fmt::format("{}{}", others.empty() ? "" : ", ", endpoint.method);
  }
  if (others.empty())
    throw ApiError(404, fmt::format("there is no {}; GET /openapi.json lists what there is", request.path));
  ApiError error(405, fmt::format("{} takes {}, not {}", request.path, others, request.method));
  error.headers.emplace_back("Allow", others);
  throw error;
}

}  // namespace fieldprint::server
