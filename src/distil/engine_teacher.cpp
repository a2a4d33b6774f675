#include "distil/engine_teacher.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <mutex>

#include "base/json.h"
#include "base/sha256.h"
#include "distil/top_record.h"
#include "fieldprint/chat.h"
#include "fieldprint/scheduler.h"
#include "server/api_error.h"
#include "server/openai.h"
#include "server/sampling_fields.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

// Refused for this request, or, where the settings are to blame, for all.
struct Refusal {
  TeacherAnswer::Next next;
  std::string detail;
};

TeacherAnswer failed(std::string why, std::string detail, TeacherAnswer::Next next) {
  TeacherAnswer answer;
  answer.failure = std::move(why);
  answer.detail = std::move(detail);
  answer.next = next;
  return answer;
}

class EngineTeacher : public Teacher {
 public:
  explicit EngineTeacher(const DistilTeacher& options)
      : model_(Model::load(options.model, options.load)), streams_(options.streams) {
    if (model_->info().encoder)
      throw Error(ErrorKind::kUnsupported, "an encoder answers nothing", options.model, "name a model that generates");
    if (model_->chat_template() == nullptr)
      throw Error(ErrorKind::kUnsupported, "the model has no chat template, so it cannot be asked", options.model);
    const std::string& source = model_->chat_template()->source();
    identity_ = {.name = std::filesystem::path(options.model).stem().string(),
                 .model_sha256 = model_->fingerprint(),
                 .template_sha256 = sha256_hex(std::as_bytes(std::span(source))),
                 .vocabulary_sha256 = vocabulary_sha256(model_->tokenizer())};
    SchedulerOptions scheduler;
    scheduler.session = options.session;
    scheduler.streams = options.streams;
    scheduler_ = std::make_unique<Scheduler>(model_, scheduler);
  }

  const TeacherRow::Teacher& identity() const override { return identity_; }
  int most_requests() const override { return streams_; }

  TeacherAnswer ask(const TeacherRequest& request) override {
    try {
      return answer(request);
    } catch (const Refusal& refusal) {
      return failed("refused", refusal.detail, refusal.next);
    } catch (const Error& error) {  // a prompt that the template refuses, or that does not fit the context
      return failed("refused", error.what(), TeacherAnswer::Next::kRow);
    }
  }

  void stop() override {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (auto& [id, stream] : running_) stream.cancel();
  }

  std::string rendered(const TeacherRequest& request) override {
    return format(request).text(messages_from_json(wrapped(request.messages)));
  }

  int64_t count_tokens(const TeacherRequest& request) override {
    int64_t count = 0;
    for (const LabelledTokens& span : format(request).spans(messages_from_json(wrapped(request.messages))))
      count += static_cast<int64_t>(span.tokens.size());
    return count;
  }

 private:
  static std::string wrapped(const std::string& messages) { return "{\"messages\":" + messages + "}"; }

  ChatFormat format(const TeacherRequest& request) const {
    const ordered_json sampling = parse_ordered_json(request.sampling, "the sampling options");
    ordered_json variables = ordered_json::object();
    if (const auto given = sampling.find("chat_template_kwargs"); given != sampling.end()) variables = *given;
    if (const auto effort = sampling.find("reasoning_effort"); effort != sampling.end())
      variables["reasoning_effort"] = *effort;
    ChatFormatOptions options;
    options.tools = request.tools;
    options.where = identity_.name;
    options.variables = variables.dump();
    return {model_->tokenizer(), *model_->chat_template(), options};
  }

  SamplingOptions sampling(const TeacherRequest& request) const {
    const ordered_json json = parse_ordered_json(request.sampling, "the sampling options");
    for (const char* name : {"response_format", "grammar", "json_schema", "regex"}) {
      if (json.contains(name))
        throw Refusal{TeacherAnswer::Next::kStop,
                      fmt::format("'{}' needs a server: `fieldprint serve` the model, and name its URL", name)};
    }
    try {
      SamplingOptions options =
          server::read_sampling(server::Fields(json), default_sampling(*model_), model_->tokenizer());
      options.seed = request.seed;
      if (request.top_k > 0) options.logprobs = std::min(request.top_k, model_->tokenizer().size());
      return options;
    } catch (const server::ApiError& error) {
      throw Refusal{TeacherAnswer::Next::kStop, error.what()};
    }
  }

  TeacherAnswer answer(const TeacherRequest& request) {
    const ChatFormat chat = format(request);
    Request asked;
    asked.spans = chat.spans(messages_from_json(wrapped(request.messages)));
    asked.sampling = sampling(request);
    asked.sampling.special = asked.sampling.special || chat.shows_control();
    const bool special = asked.sampling.special;
    TeacherAnswer out;
    for (const LabelledTokens& span : asked.spans)
      out.prompt_ids.insert(out.prompt_ids.end(), span.tokens.begin(), span.tokens.end());

    const Generation generation = generate(std::move(asked));
    if (generation.reason == FinishReason::kCancelled) return failed("cancelled", "", TeacherAnswer::Next::kStop);

    const Message message = chat.answer(
        generation.text, special ? std::span<const TokenId>(generation.tokens) : std::span<const TokenId>());
    out.reasoning = message.reasoning;
    out.content = message.content;
    if (!message.calls.empty()) out.tool_calls = calls_json(message.calls);
    out.unclosed = !out.reasoning.empty() && out.content.empty() && message.calls.empty() &&
                   generation.text.find("</think>") == std::string::npos;
    out.finish_reason = server::openai_finish(generation.reason, !message.calls.empty());
    out.token_ids = generation.tokens;
    out.prompt_tokens = static_cast<int64_t>(out.prompt_ids.size());
    out.completion_tokens = static_cast<int64_t>(generation.tokens.size());
    if (request.top_k > 0) {
      out.top.k = std::min(request.top_k, model_->tokenizer().size());
      for (const TokenLogprobs& place : generation.logprobs) add_top(out.top, place.top);
    }
    if (out.content.empty() && out.reasoning.empty() && message.calls.empty() && out.finish_reason != "length") {
      // The same seed would give the same nothing.
      return failed("empty", "the teacher ended its answer at once", TeacherAnswer::Next::kRow);
    }
    return out;
  }

  Generation generate(Request&& asked) {
    std::optional<Stream> stream;
    {
      const std::lock_guard lock(mutex_);
      stream = scheduler_->submit(std::move(asked));
      running_.emplace(stream->id(), *stream);
      if (stopped_) stream->cancel();
    }
    struct Leave {
      EngineTeacher& teacher;
      uint64_t id;
      ~Leave() {
        const std::lock_guard lock(teacher.mutex_);
        teacher.running_.erase(id);
      }
    } leave{*this, stream->id()};
    return stream->wait();
  }

  // Numbered rather than with random ids, as the row's bytes are to depend on nothing but what was asked.
  static std::string calls_json(const std::vector<ToolCall>& calls) {
    ordered_json list = ordered_json::array();
    for (size_t i = 0; i < calls.size(); ++i) {
      list.push_back({{"id", fmt::format("call_{}", i)},
                      {"type", "function"},
                      {"function", {{"name", calls[i].name}, {"arguments", calls[i].arguments}}}});
    }
    return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  }

  std::shared_ptr<const Model> model_;
  int streams_;
  TeacherRow::Teacher identity_;
  std::unique_ptr<Scheduler> scheduler_;
  std::mutex mutex_;  // of what follows
  std::map<uint64_t, Stream> running_;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Teacher> make_engine_teacher(const DistilTeacher& options) {
  return std::make_unique<EngineTeacher>(options);
}

}  // namespace fieldprint
