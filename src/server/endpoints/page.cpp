// GET /: the page.
#include "server/page.h"

#include <span>

#include "base/sha256.h"
#include "server/api_error.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

void page(Service& service, const HttpRequest& request, HttpReply& reply) {
  if (!service.options.page) throw ApiError(404, "this server has no page (--no-page)");
  static const std::string policy = page_policy(server::page());
  static const std::string tag = "\"" + sha256_hex(std::as_bytes(std::span(server::page()))).substr(0, 32) + "\"";
  HttpResponse response{.type = "text/html; charset=utf-8"};
  response.headers = {{"ETag", tag},
                      {"Cache-Control", "no-cache"},  // kept, but asked for: another program may have another page
                      {"Content-Security-Policy", policy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"},
                      {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (request.header("if-none-match") == tag) {
    response.status = 304;
  } else {
    response.body = server::page();
  }
  reply.send(std::move(response));
}

}  // namespace fieldprint::server::endpoints_of
