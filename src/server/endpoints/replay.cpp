// POST /api/replay: computes a saved exchange again and compares every bit.
#include "server/answers.h"
#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/exchange.h"

namespace fieldprint::server::endpoints_of {

void replay(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  const Json* given = fields.object("exchange");
  if (given == nullptr) fields.refuse("exchange", "is missing");
  const Fields saved(*given, "exchange");
  const std::string kv_type = saved.string("kv_type").value_or("f16");
  if (kv_type != service.options.scheduler.session.kv_type)
    saved.refuse("kv_type", "is " + kv_type + ", and this server keeps keys and values otherwise (--kv-type)");
  const Json* answer = saved.object("answer");
  if (answer == nullptr) saved.refuse("answer", "is missing");
  Exchange exchange = exchange_from_json(saved, *service.model);
  check_prompt(service, exchange.prompt);
  if (exchange.constraint.any()) exchange.sampling.mask = service.mask(exchange.constraint);
  Request request;
  request.spans = exchange.prompt;
  request.sampling = exchange.sampling;
  request.clearance = exchange.clearance;
  request.cache_domain = service.cache_domain(http);
  std::optional<Answers> run;
  try {
    run.emplace(service.scheduler(), std::move(request), reply, Watch::kEnd);
  } catch (const Error& error) {
    throw submit_error(error);
  }
  while (run->next()) {
  }
  const Json got = answer_json(run->result(0));
  const std::string difference = answer_difference(*answer, got);
  send_json(reply, {{"same", difference.empty()}, {"difference", difference}, {"expected", *answer}, {"got", got}});
}

}  // namespace fieldprint::server::endpoints_of
