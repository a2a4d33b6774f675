// GET /v1/models: what is served.
#include "server/api_error.h"
#include "server/endpoint.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

static Json model_json(Service& service) {
  const ModelInfo& info = service.model->info();
  const auto started = std::chrono::duration_cast<std::chrono::seconds>(service.started.time_since_epoch()).count();
  return {{"id", service.model_name},
          {"object", "model"},
          {"created", started},
          {"owned_by", "fieldprint"},
          {"meta",
           {{"architecture", info.architecture},
            {"n_params", info.parameters},
            {"n_vocab", info.vocabulary},
            {"n_ctx_train", info.context},
            {"n_embd", info.width},
            {"size", info.file_bytes}}}};
}

void list_models(Service& service, const HttpRequest&, HttpReply& reply) {
  send_json(reply, {{"object", "list"}, {"data", Json::array({model_json(service)})}});
}

void show_model(Service& service, const HttpRequest& http, HttpReply& reply) {
  if (http.parameters.at("model") != service.model_name)
    throw ApiError(404, "the model '" + http.parameters.at("model") + "' is not served; GET /v1/models lists what is",
                   "model", "model_not_found");
  send_json(reply, model_json(service));
}

}  // namespace fieldprint::server::endpoints_of
