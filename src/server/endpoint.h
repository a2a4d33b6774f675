// What the server answers to. An endpoint is a function in src/server/endpoints/ and a row of endpoints.def.
#pragma once

#include <span>
#include <string_view>

#include "server/http.h"

namespace fieldprint::server {

class Service;

// Runs on a thread of its own; it may wait. What it throws becomes the reply: an ApiError as it says, a
// fieldprint::Error by its kind, anything else 500.
using Handler = void (*)(Service& service, const HttpRequest& request, HttpReply& reply);

enum class Access {
  kOpen,  // needs no API key: what a load balancer or a browser must see before anybody has logged in
  kKey,
};

struct Endpoint {
  std::string_view method, path;  // "/v1/models/{model}": {model} stands for one part, {model...} for all that follow
  Access access;
  Handler handler;
};

std::span<const Endpoint> endpoints();

// The row of a request, whose `parameters` are filled in. Throws ApiError 404 for an unknown path, 405 for a known one
// with another method.
const Endpoint& find_endpoint(HttpRequest& request);

}  // namespace fieldprint::server
