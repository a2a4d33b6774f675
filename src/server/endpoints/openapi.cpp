// GET /openapi.json: what the server answers to, for programs. tests/openapi_test.py holds it to endpoints.def and to
// what is really answered.
#include "server/embedded.h"
#include "server/endpoint.h"

FIELDPRINT_EMBED(openapi, FIELDPRINT_OPENAPI)

namespace fieldprint::server::endpoints_of {

void openapi(Service&, const HttpRequest&, HttpReply& reply) { reply.send({.body = std::string(openapi_embedded())}); }

}  // namespace fieldprint::server::endpoints_of
