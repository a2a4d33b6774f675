// POST /v1/completions: a text, or several, continued as it is; with `echo` the prompt's own log-probabilities, which
// is how evaluation harnesses score choices. https://platform.openai.com/docs/api-reference/completions
#include <fmt/format.h>

#include <deque>

#include "server/answers.h"
#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/event_stream.h"
#include "server/exchange.h"
#include "server/openai.h"

namespace fieldprint::server::endpoints_of {
namespace {

constexpr int kDefaultTokens = 16;  // the API's own
constexpr size_t kMostPrompts = 2048;
constexpr int64_t kMostPromptLogprobs = 1 << 21;  // of a request: about 150 MB of text

struct Wish {
  ChatRequest common;
  std::vector<std::vector<TokenId>> prompts;
  bool stream = false, usage = false, echo = false;
  int logprobs = -1, prompt_logprobs = -1;
  TokenWish tokens;
};

std::vector<TokenId> token_list(const Fields& fields, const Json& list, const Tokenizer& tokenizer) {
  std::vector<TokenId> tokens;
  for (const Json& token : list) {
    if (!token.is_number_integer() || token.get<int64_t>() < 0 || token.get<int64_t>() >= tokenizer.size())
      fields.refuse("prompt", "should hold texts, or ids of the model's vocabulary");
    tokens.push_back(token.get<TokenId>());
  }
  return tokens;
}

std::vector<std::vector<TokenId>> read_prompts(const Fields& fields, const Tokenizer& tokenizer) {
  const Json* prompt = fields.find("prompt");
  if (prompt == nullptr) fields.refuse("prompt", "is missing");
  std::vector<std::vector<TokenId>> all;
  const auto add_text = [&](const Json& text) { all.push_back(encode_prompt(tokenizer, text.get<std::string>())); };
  if (prompt->is_string()) {
    add_text(*prompt);
  } else if (prompt->is_array() && !prompt->empty() && prompt->front().is_number()) {
    all.push_back(token_list(fields, *prompt, tokenizer));
  } else if (prompt->is_array()) {
    if (prompt->size() > kMostPrompts) fields.refuse("prompt", fmt::format("has more than {} entries", kMostPrompts));
    for (const Json& entry : *prompt) {
      if (entry.is_string()) add_text(entry);
      else if (entry.is_array()) all.push_back(token_list(fields, entry, tokenizer));
      else fields.refuse("prompt", "should hold texts, or lists of token ids");
    }
  } else {
    fields.refuse("prompt", "should be a text, a list of token ids, or a list of such");
  }
  if (all.empty()) fields.refuse("prompt", "is empty");
  for (const auto& tokens : all)
    if (tokens.empty()) fields.refuse("prompt", "is empty: a model needs a token to begin with");
  return all;
}

// A teacher's side of distillation: the distribution at each place of the prompt, at the temperature that the request
// names, since whoever asks so has none of the sampling in mind.
void read_prompt_logprobs(const Fields& fields, Wish& wish) {
  wish.prompt_logprobs = static_cast<int>(fields.integer("prompt_logprobs", 0, kMostTopTokens).value_or(-1));
  if (wish.prompt_logprobs < 0) return;
  if (wish.stream) fields.refuse("prompt_logprobs", "does not go with stream");
  if (wish.echo && wish.logprobs >= 0)
    fields.refuse("prompt_logprobs", "does not go with echo and logprobs, which give them too");
  wish.common.sampling.prompt_logprobs = wish.prompt_logprobs;
  const double temperature = fields.number("temperature").value_or(1);
  if (temperature > 0) wish.common.sampling.prompt_temperature = static_cast<float>(temperature);
  int64_t count = 0;
  for (const auto& prompt : wish.prompts) count += static_cast<int64_t>(prompt.size());
  count *= int64_t{wish.prompt_logprobs + 1} * wish.common.answers;
  if (count > kMostPromptLogprobs) {
    fields.refuse(
        "prompt_logprobs",
        fmt::format("would be {} entries, and a reply has at most {}: send fewer prompts at once, or ask for less",
                    count, kMostPromptLogprobs));
  }
}

Wish read_wish(const Fields& fields, Service& service) {
  Wish wish;
  read_common(fields, service, wish.common);
  if (!fields.has("max_tokens") && !fields.has("max_completion_tokens") && !fields.has("n_predict"))
    wish.common.sampling.max_tokens = kDefaultTokens;
  wish.prompts = read_prompts(fields, service.tokenizer());
  wish.stream = fields.boolean("stream").value_or(false);
  if (const Json* options = fields.object("stream_options"))
    wish.usage = Fields(*options, "stream_options").boolean("include_usage").value_or(false);
  wish.echo = fields.boolean("echo").value_or(false);
  wish.tokens = read_token_wish(fields);
  wish.logprobs = static_cast<int>(fields.integer("logprobs", 0, kMostTopTokens).value_or(-1));
  if (const Json* on = fields.find("logprobs"); on != nullptr && on->is_boolean()) wish.logprobs = -1;
  wish.common.sampling.logprobs = wish.logprobs;
  if (wish.echo) wish.common.sampling.prompt_logprobs = wish.logprobs;
  read_prompt_logprobs(fields, wish);
  if (const auto suffix = fields.string("suffix"); suffix && !suffix->empty())
    fields.refuse("suffix", "is not supported: write the model's own marks of a gap into the prompt");
  const int64_t best = fields.integer("best_of", 1, 128).value_or(wish.common.answers);
  if (best != wish.common.answers) fields.refuse("best_of", "is not supported beside n");
  if (wish.common.sampling.max_tokens == 0 && !wish.echo && wish.prompt_logprobs < 0)
    fields.refuse("max_tokens", "should be at least 1 where the prompt is not echoed");
  return wish;
}

int code_points(std::string_view text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// The lists of `logprobs`, filled token by token.
class LogprobLists {
 public:
  LogprobLists(const Tokenizer& tokenizer, bool id_names) : tokenizer_(tokenizer), id_names_(id_names) {}

  void first(TokenId token) { add(token, nullptr, nullptr); }  // a prompt's first token: nothing comes before it
  void add(const TokenLogprobs& each) {
    Json top = Json::object();
    for (const auto& [token, logprob] : each.top) {
      const std::string name = name_of(token);
      if (!top.contains(name)) top[name] = logprob;  // of equal texts the likeliest
    }
    if (const std::string name = name_of(each.token); !top.contains(name)) top[name] = each.logprob;
    add(each.token, each.logprob, std::move(top));
  }
  Json take() {
    return {{"tokens", std::exchange(tokens_, Json::array())},
            {"token_logprobs", std::exchange(logprobs_, Json::array())},
            {"top_logprobs", std::exchange(top_, Json::array())},
            {"text_offset", std::exchange(offsets_, Json::array())}};
  }

 private:
  std::string name_of(TokenId token) const { return token_name(tokenizer_, token, id_names_); }
  void add(TokenId token, Json logprob, Json top) {
    tokens_.push_back(name_of(token));
    logprobs_.push_back(std::move(logprob));
    top_.push_back(std::move(top));
    offsets_.push_back(offset_);
    offset_ += code_points(tokenizer_.piece(token));
  }
  const Tokenizer& tokenizer_;
  const bool id_names_;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(), offsets_ = Json::array();
  int offset_ = 0;
};

class Completions {
 public:
  Completions(Service& service, const HttpRequest& http, HttpReply& reply, Wish wish)
      : service_(service), http_(http), reply_(reply), wish_(std::move(wish)) {
    for (const auto& prompt : wish_.prompts)
      prompt_tokens_ += check_prompt(service, {LabelledTokens{SpanLabel(), prompt}});
    if (wish_.common.format != Constraint::Kind::kNone) {
      constraint_ = {.kind = wish_.common.format, .text = wish_.common.format_text};
      wish_.common.sampling.mask = request_mask(service, constraint_);
    }
    fill();
  }

  void whole() {
    std::string choices;  // text, so that millions of log-probabilities never are a tree
    while (!under_way_.empty()) {
      Answers& answers = *under_way_.front();
      while (answers.next()) {
      }
      for (int i = 0; i < answers.count(); ++i) choices += (choices.empty() ? '[' : ',') + choice(answers, i);
      finish_front(answers);
    }
    Json json = head();
    json["usage"] = usage_json(prompt_tokens_, reused_, tokens_);
    json["timings"] = timings_;
    json["fieldprint"] = own_;
    std::string text = dump(json);
    append_member(text, "choices", choices += ']');
    reply_.send({.status = 200, .body = std::move(text)});
  }

  void stream() {
    EventStream out(reply_);
    try {
      while (!under_way_.empty()) {
        Answers& answers = *under_way_.front();
        std::vector<LogprobLists> lists(static_cast<size_t>(answers.count()),
                                        LogprobLists(service_.tokenizer(), wish_.tokens.id_names));
        std::vector<bool> begun(lists.size());
        while (const auto part = answers.next()) {
          const auto i = static_cast<size_t>(part->answer);
          const bool end = part->kind == AnswerPart::Kind::kEnd;
          std::string text = part->text;
          const bool first = !begun[i];
          begun[i] = true;
          if (wish_.echo && first) text.insert(0, service_.tokenizer().decode(front_prompt()));
          for (const TokenLogprobs& each : part->logprobs) lists[i].add(each);
          if (text.empty() && part->logprobs.empty() && !wish_.tokens.ids && !end) continue;
          Json json = {{"text", text},
                       {"index", index(part->answer)},
                       {"logprobs", wish_.logprobs >= 0 ? lists[i].take() : Json()},
                       {"finish_reason", nullptr}};
          if (wish_.tokens.ids && first) json["prompt_token_ids"] = front_prompt();
          if (wish_.tokens.ids) json["token_ids"] = part->tokens;
          if (end) json["finish_reason"] = openai_finish(answers.result(part->answer).reason, false);
          out.data(object(Json::array({std::move(json)})));
        }
        finish_front(answers);
      }
      if (wish_.usage) {
        Json json = object(Json::array());
        json["usage"] = usage_json(prompt_tokens_, reused_, tokens_);
        json["timings"] = timings_;
        json["fieldprint"] = own_;
        out.data(json);
      }
    } catch (...) {
      out.raw(error_body(current_error()));
    }
    out.raw("[DONE]");
    out.end();
  }

 private:
  // As many prompts as the scheduler takes at once are under way; the others follow them.
  void fill() {
    const auto most = static_cast<size_t>(std::max(1, service_.options.scheduler.streams / wish_.common.answers));
    while (under_way_.size() < most && submitted_ < wish_.prompts.size()) {
      Request request;
      request.prompt = wish_.prompts[submitted_++];
      request.sampling = wish_.common.sampling;
      request.answers = wish_.common.answers;
      request.influence = wish_.common.influence;
      request.cache_domain = service_.cache_domain(http_);
      try {
        under_way_.push_back(std::make_unique<Answers>(service_.scheduler(), std::move(request), reply_,
                                                       wish_.stream ? Watch::kTokens : Watch::kEnd));
      } catch (const Error& error) {
        throw submit_error(error);
      }
    }
  }

  const std::vector<TokenId>& front_prompt() const { return wish_.prompts[done_]; }
  int index(int answer) const { return static_cast<int>(done_) * wish_.common.answers + answer; }

  void finish_front(const Answers& answers) {
    for (int i = 0; i < answers.count(); ++i) tokens_ += static_cast<int>(answers.result(i).tokens.size());
    const Generation& first = answers.result(0);
    reused_ += first.stats.reused_tokens;
    service_.metrics.answer(first.stats.queue_seconds + first.stats.prefill_seconds, first.stats.decode_seconds,
                            static_cast<int>(front_prompt().size()), first.stats.reused_tokens,
                            static_cast<int>(first.tokens.size()));
    if (done_ == 0) {
      timings_ = timings_json(first.stats, first.tokens.size());
      own_ = {{"model_hash", service_.model_hash()},
              {"logits_hash", first.stats.logits_hash},
              {"seed", wish_.common.sampling.seed},
              {"finish_reason", finish_name(first.reason)}};
      if (wish_.common.exchange)
        own_["exchange"] = exchange_json(
            service_, {{LabelledTokens{SpanLabel(), front_prompt()}}, wish_.common.sampling, constraint_, 0}, first);
    }
    under_way_.pop_front();
    ++done_;
    fill();
  }

  std::string choice(const Answers& answers, int i) const {
    const Generation& answer = answers.result(i);
    const Tokenizer& tokenizer = service_.tokenizer();
    Json json = {{"text", answer.text}, {"index", index(i)}, {"logprobs", nullptr}};
    if (wish_.echo) json["text"] = tokenizer.decode(front_prompt()) + answer.text;
    if (wish_.logprobs >= 0) {
      LogprobLists lists(tokenizer, wish_.tokens.id_names);
      if (wish_.echo) {
        lists.first(front_prompt().front());
        for (const TokenLogprobs& each : answers.result(0).prompt_logprobs) lists.add(each);
      }
      for (const TokenLogprobs& each : answer.logprobs) lists.add(each);
      json["logprobs"] = lists.take();
    }
    if (wish_.common.influence) json["influence"] = answer.influence;
    if (wish_.tokens.ids) {
      json["prompt_token_ids"] = front_prompt();
      json["token_ids"] = answer.tokens;
    }
    json["finish_reason"] = openai_finish(answer.reason, false);
    std::string text = dump(json);
    if (wish_.prompt_logprobs >= 0)
      append_member(text, "prompt_logprobs", prompt_logprobs_text(tokenizer, answers.result(0).prompt_logprobs));
    return text;
  }

  Json head() const {
    return {{"id", id_},
            {"object", "text_completion"},
            {"created", created_},
            {"model", service_.model_name},
            {"system_fingerprint", fingerprint_}};
  }

  Json object(Json choices) const {
    Json json = head();
    json["choices"] = std::move(choices);
    return json;
  }

  Service& service_;
  const HttpRequest& http_;
  HttpReply& reply_;
  Wish wish_;
  Constraint constraint_;
  std::deque<std::unique_ptr<Answers>> under_way_;
  size_t submitted_ = 0, done_ = 0;
  int prompt_tokens_ = 0, reused_ = 0, tokens_ = 0;
  Json timings_, own_;
  const std::string id_ = new_id("cmpl-"), fingerprint_ = service_.fingerprint();
  const Json created_ = unix_time();
};

}  // namespace

void completions(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  Wish wish = read_wish(Fields(body), service);
  const bool stream = wish.stream;
  Completions run(service, http, reply, std::move(wish));
  if (stream) run.stream();
  else run.whole();
}

}  // namespace fieldprint::server::endpoints_of
