#include "distil/http_teacher.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/json.h"
#include "base/sha256.h"
#include "distil/chat_answer.h"
#include "distil/http_client.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Next = TeacherAnswer::Next;

// What can be asked of a server beyond the OpenAI API, by the name in `owned_by` of its models.
struct Kind {
  std::string_view owner;
  bool props;                // GET /props tells the chat template
  bool token_ids;            // return_token_ids, return_tokens_as_token_ids (as vLLM has them)
  std::string_view waiting;  // the metric of its queue, at GET /metrics; "" = none
};
constexpr Kind kKinds[] = {
    {"fieldprint", false, true, "fieldprint_requests_waiting"},
    {"vllm", false, true, "vllm:num_requests_waiting"},
    {"llamacpp", true, false, "llamacpp:requests_deferred"},
};
constexpr Kind kOther = {"", false, false, ""};

std::string text_of(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// "http://host:1/v1" of "http://host:1/"; a URL with a path of its own stays, as some servers have theirs elsewhere.
std::string api_of(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const size_t host = url.find("://") + 3;
  return url.find('/', host) == std::string::npos ? url + "/v1" : url;
}

class HttpTeacher : public Teacher {
 public:
  HttpTeacher(const DistilTeacher& options, int attempts)
      : api_(api_of(options.model)),
        root_(api_.ends_with("/v1") ? api_.substr(0, api_.size() - 3) : api_),
        stream_(options.stream),
        client_(api_, options.api_key,
                {.connect = options.connect_seconds,
                 .first_byte = options.first_byte_seconds,
                 .idle = options.idle_seconds}) {
    if (!options.tokenizer.empty()) tokenizer_ = load_tokenizer(options.tokenizer);
    identify(options.name, attempts);
    if (tokenizer_) identity_.vocabulary_sha256 = vocabulary_sha256(*tokenizer_);
  }

  const TeacherRow::Teacher& identity() const override { return identity_; }
  int most_requests() const override { return 0; }
  TeacherAnswer ask(const TeacherRequest& request) override {
    const HttpResult result = client_.post(api_ + "/chat/completions", body_of(request));
    TeacherAnswer answer = judged(result, request.top_k);
    if (answer.failure.empty()) answered_ = true;
    // A gateway may refuse a single prompt so. What is wrong with name or address is wrong from the first row on.
    if ((result.status == 403 || result.status == 404) && answered_) answer.next = Next::kRow;
    answer.retry_after = result.retry_after;
    answer.first_byte = stream_ ? result.first_byte : 0;
    return answer;
  }

  void stop() override { client_.stop(); }

  std::optional<int> waiting() override {
    if (kind_->waiting.empty() || no_metrics_) return std::nullopt;
    const HttpResult result = client_.get(root_ + "/metrics");
    const std::string_view names[] = {kind_->waiting};
    if (result.broke != HttpResult::Break::kNone) return std::nullopt;
    const auto value = result.status == 200 ? metric_of(result.body, names) : std::nullopt;
    no_metrics_ = result.status < 500 && !value;  // llama-server has them with --metrics alone
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
  }

  std::string rendered(const TeacherRequest& request) override {
    std::string text;
    for (const ordered_json& message : parse_ordered_json(request.messages, "the prompt")) {
      const auto& content = message["content"];
      text += fmt::format("{}: {}\n", message["role"].get<std::string>(),
                          content.is_string() ? content.get<std::string>() : content.dump());
    }
    return text;
  }

  int64_t count_tokens(const TeacherRequest& request) override {
    if (!tokenizer_) return 0;
    int64_t count = 0;
    for (const ordered_json& message : parse_ordered_json(request.messages, "the prompt")) {
      const auto& content = message["content"];
      const std::string text = content.is_string() ? content.get<std::string>() : content.dump();
      count += kTokensOfMarks;
      count += static_cast<int64_t>(tokenizer_->encode(text, {.add_special = false, .parse_special = false}).size());
    }
    return count;
  }

 private:
  static constexpr int64_t kTokensOfMarks = 4;  // that a template puts around a message

  std::string body_of(const TeacherRequest& request) const {
    ordered_json body = parse_ordered_json(request.sampling, "the sampling options");
    body["model"] = asked_;
    body["messages"] = parse_ordered_json(request.messages, "the prompt");
    if (!request.tools.empty()) body["tools"] = parse_ordered_json(request.tools, "the tools");
    body["seed"] = request.seed;
    if (stream_) {
      body["stream"] = true;
      body["stream_options"] = {{"include_usage", true}};
    }
    if (request.top_k > 0) {
      body["logprobs"] = true;
      body["top_logprobs"] = request.top_k;
    }
    if (kind_->token_ids) {
      body["return_token_ids"] = true;
      if (request.top_k > 0) body["return_tokens_as_token_ids"] = true;
    }
    return body.dump();
  }

  static TeacherAnswer failed(std::string why, std::string detail, Next next = Next::kAgain) {
    TeacherAnswer answer;
    answer.failure = std::move(why);
    answer.detail = std::move(detail);
    answer.next = next;
    return answer;
  }

  static TeacherAnswer judged(const HttpResult& result, int top_k) {
    using Break = HttpResult::Break;
    switch (result.broke) {
      case Break::kNone:
        break;
      case Break::kUnreachable:
        return failed("unreachable", result.detail);
      case Break::kTimeout:
        return failed("timeout", result.detail, Next::kBusy);
      case Break::kReset:
        return failed("reset", result.detail);
      case Break::kCut:
        return failed("cut", result.detail);
      case Break::kTooLong:
        return failed("malformed", result.detail, Next::kRow);
      case Break::kStopped:
        return failed("cancelled", "", Next::kStop);
    }
    if (result.status == 200) {
      const bool events = result.content_type.starts_with("text/event-stream") || result.body.starts_with("data:");
      if (without_body(result.body)) return failed("empty", "the server sent an answer without anything in it");
      return read_chat_answer(result.body, events, top_k);
    }
    const std::string sentence = error_sentence(result.body);
    const std::string detail = fmt::format("HTTP {}{}{}", result.status, sentence.empty() ? "" : ": ", sentence);
    switch (result.status) {
      case 429:
      case 503:
      case 529:
        return failed("busy", detail, Next::kBusy);
      case 408:
      case 409:
      case 425:
        return failed("server", detail);
      case 401:
      case 402:  // no money left
      case 403:
      case 404:
        return failed("refused", detail, Next::kStop);
      default:
        return result.status >= 500 ? failed("server", detail) : failed("refused", detail, Next::kRow);
    }
  }

  static bool without_body(std::string_view body) { return body.find_first_not_of(" \t\r\n") == body.npos; }

  // GET; again where the server does not answer; a body that is no JSON counts as no answer.
  json fetch(const std::string& url, int attempts, bool needed) {
    std::string trouble;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(250 << attempt));
      const HttpResult result = client_.get(url);
      if (result.broke != HttpResult::Break::kNone) {
        trouble = result.detail;
        continue;
      }
      trouble = fmt::format("HTTP {}: {}", result.status, error_sentence(result.body));
      if (result.status == 200) {
        try {
          return parse_json(result.body, url);
        } catch (const Error& error) {
          trouble = error.what();
          continue;
        }
      }
      if (result.status == 401 || result.status == 403)
        throw Error(ErrorKind::kIo, "the server refuses: " + trouble, url,
                    "--api-key-env NAME or --api-key-file FILE gives it a key");
      if (result.status < 500 && result.status != 429) {
        if (!needed) return {};
        break;
      }
    }
    throw Error(ErrorKind::kIo, "the server does not say which model it has: " + trouble, url,
                "is it running, and is the address right?");
  }

  void identify(const std::string& name, int attempts) {
    const json models = fetch(api_ + "/models", attempts, name.empty());
    std::string owner;
    std::string known;
    const auto list = models.is_object() ? models.find("data") : models.end();
    if (models.is_object() && list != models.end() && list->is_array()) {
      for (const json& model : *list) {
        const std::string id = text_of(model, "id");
        known += (known.empty() ? "" : ", ") + id;
        if (!asked_.empty() || id.empty() || (!name.empty() && id != name)) continue;
        asked_ = id;
        owner = text_of(model, "owned_by");
        if (const auto meta = model.find("meta"); meta != model.end()) {  // of ours
          identity_.model_sha256 = text_of(*meta, "model_hash");
          identity_.template_sha256 = text_of(*meta, "template_sha256");
          identity_.vocabulary_sha256 = text_of(*meta, "vocabulary_sha256");
        }
      }
    }
    if (asked_.empty() && !known.empty())
      throw Error(ErrorKind::kNotFound, fmt::format("the server has no model '{}'", name), api_, "it has " + known);
    if (asked_.empty()) asked_ = name;  // of a server without a list
    if (asked_.empty())
      throw Error(ErrorKind::kIo, "the server names no model", api_, "--teacher-model NAME says which to ask for");
    // llama-server calls a model by its path, which says something of this machine and nothing of the model.
    identity_.name = asked_.starts_with('/') ? asked_.substr(asked_.rfind('/') + 1) : asked_;
    for (const Kind& kind : kKinds)
      if (kind.owner == owner) kind_ = &kind;
    if (!kind_->props) return;
    const json props = fetch(root_ + "/props", attempts, false);
    if (const std::string source = text_of(props, "chat_template"); !source.empty())
      identity_.template_sha256 = sha256_hex(std::as_bytes(std::span(source)));
  }

  std::string api_, root_, asked_;  // asked_: the model, as the server calls it
  bool stream_;
  HttpClient client_;
  std::unique_ptr<Tokenizer> tokenizer_;
  TeacherRow::Teacher identity_;
  const Kind* kind_ = &kOther;
  std::atomic<bool> no_metrics_{false}, answered_{false};
};

}  // namespace

std::optional<double> metric_of(std::string_view text, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    double sum = 0;
    bool found = false;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = text.substr(at, end - at);
      at = end + 1;
      if (!line.starts_with(name) || line.size() == name.size()) continue;
      const char next = line[name.size()];
      if (next != ' ' && next != '{') continue;
      const size_t labels = next == '{' ? line.rfind('}') : name.size() - 1;
      if (labels == std::string_view::npos) continue;
      const std::string value(line.substr(labels + 1));
      char* stop = nullptr;
      const double number = std::strtod(value.c_str(), &stop);
      if (stop == value.c_str() || !(number >= 0 && number < 1e9)) continue;
      sum += number;
      found = true;
    }
    if (found) return sum;
  }
  return std::nullopt;
}

std::unique_ptr<Teacher> make_http_teacher(const DistilTeacher& options, int attempts) {
  return std::make_unique<HttpTeacher>(options, attempts);
}

}  // namespace fieldprint
