#include "server/service.h"

#include <fmt/format.h>

#include <filesystem>
#include <random>

#include "base/sha256.h"
#include "server/api_error.h"
#include "train/distilled.h"

namespace fieldprint::server {
namespace {

std::string served_name(const Model& model, const ServerOptions& options) {
  if (!options.model_name.empty()) return options.model_name;
  const ModelInfo& info = model.info();
  const std::string file = info.path.substr(info.path.find_last_of('/') + 1);
  return file.substr(0, file.rfind(".gguf"));
}

}  // namespace

Service::Service(std::shared_ptr<const Model> served, const ServerOptions& given)
    : options(given),
      model(std::move(served)),
      model_name(served_name(*model, given)),
      conversations(options.data_directory.empty()
                        ? std::filesystem::path()
                        : std::filesystem::path(options.data_directory) / "conversations.db") {
  if (options.log && !conversations.notice().empty()) options.log(conversations.notice());
  if (!is_encoder(*model)) {
    SchedulerOptions scheduler = options.scheduler;
    if (options.memory) scheduler.boundaries = std::make_shared<BoundaryRing>();
    scheduler_.emplace(model, scheduler);
    if (options.memory)
      memory_.emplace(options.memory, options.memory_principal, *scheduler_, scheduler.boundaries, model);
  }
  const auto encoder = is_encoder(*model) ? model : options.encoder;
  if (encoder) embedder_.emplace(encoder);
}

Service::~Service() {
  if (memory_) memory_->leave_scheduler();
  scheduler_.reset();
}

Scheduler& Service::scheduler() {
  if (!scheduler_) throw ApiError(400, "the model makes vectors of texts, it writes none: /v1/embeddings uses it");
  return *scheduler_;
}

const ChatTemplate& Service::chat_template() const {
  if (!scheduler_) throw ApiError(400, "the model makes vectors of texts, it writes none: /v1/embeddings uses it");
  const ChatTemplate* found = model->chat_template();
  if (found == nullptr) throw ApiError(400, "this model has no chat template: /v1/completions lets it continue a text");
  return *found;
}

int Service::context() const {
  const int asked = options.scheduler.session.context;
  return asked > 0 ? asked : model->info().context;
}

const std::string& Service::model_hash() { return model->fingerprint(); }

const std::string& Service::vocabulary_hash() {
  std::call_once(vocabulary_hash_once_, [this] { vocabulary_hash_ = vocabulary_sha256(tokenizer()); });
  return vocabulary_hash_;
}

std::string Service::memory_principal(const HttpRequest& request) const {
  if (request.key.empty()) return options.memory_principal;
  return "key:" + sha256_hex(std::as_bytes(std::span(request.key))).substr(0, 12);
}

std::string Service::cache_domain(const HttpRequest& request) const {
  return options.isolate_keys ? sha256_hex(std::as_bytes(std::span(request.key))) : std::string();
}

std::function<std::unique_ptr<TokenMask>()> Service::mask(const Constraint& constraint) {
  std::call_once(vocabulary_once_, [this] { vocabulary_ = std::make_shared<GrammarVocabulary>(tokenizer()); });
  // Small ones are cheap; a large one would take memory and time from everybody.
  constexpr size_t kMostBytes = 64 << 10, kMostSchemaBytes = 1 << 20;
  const bool schema = constraint.kind == Constraint::Kind::kJsonSchema;
  if (constraint.text.size() > (schema ? kMostSchemaBytes : kMostBytes) || constraint.tools.size() > kMostSchemaBytes)
    throw Error(ErrorKind::kLimit, fmt::format("the form of the answer is longer than {} KiB",
                                               (schema ? kMostSchemaBytes : kMostBytes) >> 10));
  const std::lock_guard one_at_a_time(grammar_mutex_);
  const auto make = [&] { return constraint_grammar(constraint); };
  return grammar_mask(grammars_.get(dump(constraint_json(constraint)), make), vocabulary_);
}

Service::Encoder Service::encoder() {
  if (!embedder_)
    throw ApiError(400, "no encoder is served beside this model (`fieldprint serve --encoder all-minilm-l6-v2`)");
  return {std::unique_lock(embedder_mutex_), *embedder_};
}

std::string Service::fingerprint() { return "fp_" + model_hash().substr(0, 12); }

void send_json(HttpReply& reply, const Json& json, int status) { reply.send({.status = status, .body = dump(json)}); }

Json unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string new_id(std::string_view prefix) {
  static constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  static thread_local std::random_device device;
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string id(prefix);
  for (int i = 0; i < 24; ++i) id += kLetters[letter(device)];
  return id;
}

}  // namespace fieldprint::server
