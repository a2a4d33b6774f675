// GET /v1/models: what is served, as OpenAI's and, for its clients, as Anthropic's API has it.
#include <fmt/chrono.h>

#include "base/sha256.h"
#include "server/api_error.h"
#include "server/endpoint.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

static bool is_anthropic(const HttpRequest& http) { return !http.header("anthropic-version").empty(); }

static Json model_json(Service& service, const HttpRequest& http) {
  const ModelInfo& info = service.model->info();
  if (is_anthropic(http)) {
    return {{"id", service.model_name},
            {"type", "model"},
            {"display_name", service.model_name},
            {"created_at",
             fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(service.started)))}};
  }
  const auto started = std::chrono::duration_cast<std::chrono::seconds>(service.started.time_since_epoch()).count();
  const ChatTemplate* chat_template = service.model->chat_template();
  const std::string source = chat_template == nullptr ? std::string() : chat_template->source();
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
            {"size", info.file_bytes},
            // What a teacher's rows are named by (train/distilled.h).
            {"model_hash", service.model_hash()},
            {"template_sha256", source.empty() ? Json() : Json(sha256_hex(std::as_bytes(std::span(source))))},
            {"vocabulary_sha256", service.vocabulary_hash()}}}};
}

void list_models(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json data = Json::array({model_json(service, http)});
  if (!is_anthropic(http)) return send_json(reply, {{"object", "list"}, {"data", data}});
  send_json(reply,
            {{"data", data}, {"has_more", false}, {"first_id", service.model_name}, {"last_id", service.model_name}});
}

void show_model(Service& service, const HttpRequest& http, HttpReply& reply) {
  if (http.parameters.at("model") != service.model_name)
    throw ApiError(404, "the model '" + http.parameters.at("model") + "' is not served; GET /v1/models lists what is",
                   "model", "model_not_found");
  send_json(reply, model_json(service, http));
}

}  // namespace fieldprint::server::endpoints_of
