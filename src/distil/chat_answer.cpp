#include "distil/chat_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/json.h"
#include "base/utf8.h"
#include "distil/rows_file.h"
#include "distil/top_record.h"

namespace fieldprint {
namespace {

using nlohmann::json;
using Next = TeacherAnswer::Next;

constexpr size_t kMostDetail = 300;  // bytes of a sentence that a row keeps

TeacherAnswer failed(std::string why, std::string detail) {
  TeacherAnswer answer;
  answer.failure = std::move(why);
  answer.detail = std::move(detail);
  return answer;
}

std::string shortened(std::string text) {
  if (text.size() > kMostDetail) {
    size_t end = kMostDetail;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + "...";
  }
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* name) {
  const json* found = member(object, name);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

// 0: the server did not count, or what it says makes no sense.
int64_t count_of(const json& object, const char* name) {
  const json* found = member(object, name);
  if (found == nullptr || !found->is_number_integer()) return 0;
  const auto count = found->get<int64_t>();  // what is above 2^63 is below 0 here
  return count > 0 && count <= kMostTokens ? count : 0;
}

std::string sentence_of(const json& error) {
  if (error.is_string()) return error.get<std::string>();
  for (const char* name : {"message", "detail", "error"}) {
    if (const json* found = member(error, name); found != nullptr) return sentence_of(*found);
  }
  return error.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool add_tokens(std::vector<TokenId>& to, const json* list) {
  if (list == nullptr || !list->is_array()) return false;
  for (const json& token : *list) {
    if (!token.is_number_integer()) return false;
    to.push_back(token.get<TokenId>());
  }
  return true;
}

// kNoToken where the server does not tell.
TokenId token_of(const json& entry) {
  constexpr std::string_view kPrefix = "token_id:";
  if (const json* id = member(entry, "id"); id != nullptr && id->is_number_integer()) return id->get<TokenId>();
  const std::string name = text_of(entry, "token");
  TokenId token = kNoToken;
  if (name.starts_with(kPrefix)) std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), token);
  return token;
}

std::string_view without_space(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Thinking out of an answer whose server left it there.
void split_thinking(TeacherAnswer& answer) {
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
      {"<think>", "</think>"}, {"<thinking>", "</thinking>"}, {"<thought>", "</thought>"}, {"[THINK]", "[/THINK]"}};
  const std::string whole = answer.content;
  const std::string_view text = without_space(whole);
  for (const auto& [open, close] : kMarks) {
    if (!text.starts_with(open)) continue;
    const std::string_view rest = text.substr(open.size());
    const size_t end = rest.find(close);
    answer.unclosed = end == std::string_view::npos;
    answer.reasoning = without_space(rest.substr(0, end));
    answer.content = answer.unclosed ? std::string() : std::string(without_space(rest.substr(end + close.size())));
    return;
  }
  // The prompt had opened it. An answer that merely speaks of the mark has it within a line.
  for (const auto& [open, close] : kMarks) {
    const size_t end = text.find(close);
    if (end == std::string_view::npos || text.find(open) < end) continue;
    const size_t behind = end + close.size();
    const bool own_line = (end == 0 || text[end - 1] == '\n') || behind == text.size() || text[behind] == '\n';
    if (!own_line) continue;
    answer.reasoning = without_space(text.substr(0, end));
    answer.content = without_space(text.substr(behind));
    return;
  }
}

class Gathered {
 public:
  explicit Gathered(int top_k) : top_k_(top_k) {}

  std::string error;  // that the server put in place of an answer
  bool whole = false;

  void take(const json& chunk, const char* part) {
    if (const json* fault = member(chunk, "error"); fault != nullptr) {
      error = sentence_of(*fault);
      return;
    }
    if (prompt_ids_.empty()) add_tokens(prompt_ids_, member(chunk, "prompt_token_ids"));
    if (const json* usage = member(chunk, "usage"); usage != nullptr) {
      has_usage_ = true;
      answer_.prompt_tokens = count_of(*usage, "prompt_tokens");
      answer_.completion_tokens = count_of(*usage, "completion_tokens");
    }
    const json* choices = member(chunk, "choices");
    if (choices == nullptr || !choices->is_array() || choices->empty()) return;
    const json& choice = (*choices)[0];
    any_ = true;
    if (prompt_ids_.empty()) add_tokens(prompt_ids_, member(choice, "prompt_token_ids"));
    if (const std::string reason = text_of(choice, "finish_reason"); !reason.empty()) answer_.finish_reason = reason;
    if (const json* said = member(choice, part); said != nullptr) take_message(*said);
    add_tokens(ids_, member(choice, "token_ids"));
    if (const json* logprobs = member(choice, "logprobs"); logprobs != nullptr) {
      if (const json* content = member(*logprobs, "content"); content != nullptr && content->is_array())
        for (const json& place : *content) take_place(place);
    }
  }

  bool ended() const { return whole || (!answer_.finish_reason.empty() && has_usage_); }

  TeacherAnswer answer() {
    if (!any_) return failed("malformed", "there is no choice in the answer");
    if (answer_.reasoning.empty()) split_thinking(answer_);
    else
      answer_.content = without_space(answer_.content).empty()
                            ? ""
                            : answer_.content.substr(answer_.content.find_first_not_of("\r\n"));
    finish_calls();
    const bool nothing = without_space(answer_.content).empty() && answer_.tool_calls.empty();
    if (nothing && answer_.finish_reason == "content_filter") {
      TeacherAnswer refused = failed("refused", "the server's filter left nothing of the answer");
      refused.next = Next::kRow;
      return refused;
    }
    if (nothing && without_space(answer_.reasoning).empty() && answer_.finish_reason != "length")
      return failed("empty", "there is nothing in the answer");
    // A server that takes thinking apart itself has no mark left to look for.
    if (nothing && !answer_.reasoning.empty() && answer_.finish_reason == "length") answer_.unclosed = true;
    finish_tokens();
    return std::move(answer_);
  }

 private:
  struct Call {
    std::string name, arguments;
  };

  void take_message(const json& said) {
    answer_.content += text_of(said, "content");
    const std::string reasoning = text_of(said, "reasoning_content");
    answer_.reasoning += reasoning.empty() ? text_of(said, "reasoning") : reasoning;
    const json* calls = member(said, "tool_calls");
    if (calls == nullptr || !calls->is_array()) return;
    int64_t next = 0;
    for (const json& call : *calls) {
      const json* index = member(call, "index");
      Call& to = calls_[index != nullptr && index->is_number_integer() ? index->get<int64_t>() : next];
      ++next;
      const json* function = member(call, "function");
      if (function == nullptr) continue;
      to.name += text_of(*function, "name");
      to.arguments += text_of(*function, "arguments");
    }
  }

  void take_place(const json& place) {
    place_ids_.push_back(token_of(place));
    std::vector<std::pair<TokenId, double>> top;
    const json* likeliest = member(place, "top_logprobs");
    if (likeliest != nullptr && likeliest->is_array()) {
      for (const json& entry : *likeliest) {
        const json* value = member(entry, "logprob");
        const TokenId token = token_of(entry);
        if (token < 0 || value == nullptr || !value->is_number()) continue;
        top.emplace_back(token, value->get<double>());
      }
    }
    std::stable_sort(top.begin(), top.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    if (top.size() > static_cast<size_t>(top_k_)) top.resize(static_cast<size_t>(top_k_));
    places_.push_back(std::move(top));
  }

  void finish_calls() {
    if (calls_.empty()) return;
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& [index, call] : calls_) {
      list.push_back({{"id", fmt::format("call_{}", list.size())},
                      {"type", "function"},
                      {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    }
    answer_.tool_calls = list.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  void finish_tokens() {
    const auto valid = [](const std::vector<TokenId>& ids) {
      return std::all_of(ids.begin(), ids.end(), [](TokenId id) { return id >= 0; });
    };
    if (ids_.empty() && valid(place_ids_)) ids_ = place_ids_;
    if (valid(ids_)) answer_.token_ids = ids_;
    if (valid(prompt_ids_)) answer_.prompt_ids = prompt_ids_;
    if (answer_.completion_tokens == 0) answer_.completion_tokens = static_cast<int64_t>(answer_.token_ids.size());
    if (answer_.prompt_tokens == 0) answer_.prompt_tokens = static_cast<int64_t>(answer_.prompt_ids.size());
    // Probabilities are of use only where it is sure which token each belongs to.
    const bool named = std::all_of(places_.begin(), places_.end(), [](const auto& top) { return !top.empty(); });
    if (top_k_ == 0 || answer_.token_ids.empty() || place_ids_ != answer_.token_ids || !named) return;
    answer_.top.k = top_k_;
    for (const auto& top : places_) add_top(answer_.top, top);
  }

  int top_k_;
  TeacherAnswer answer_;
  bool any_ = false, has_usage_ = false;
  std::map<int64_t, Call> calls_;
  std::vector<TokenId> prompt_ids_, ids_, place_ids_;
  std::vector<std::vector<std::pair<TokenId, double>>> places_;
};

}  // namespace

std::string error_sentence(std::string_view body) {
  try {
    const json value = parse_json(body, "");
    const json* error = member(value, "error");
    return shortened(sentence_of(error != nullptr ? *error : value));
  } catch (const Error&) {
    return shortened(std::string(without_space(body)));
  }
}

TeacherAnswer read_chat_answer(std::string_view body, bool events, int top_k) {
  Gathered gathered(top_k);
  try {
    if (!events) {
      gathered.take(parse_json(body, "the answer"), "message");
      gathered.whole = true;
    }
    for (size_t at = 0; events && at < body.size();) {
      const size_t end = body.find('\n', at);
      if (end == std::string_view::npos) break;  // a line that was cut
      std::string_view line = without_space(body.substr(at, end - at));
      at = end + 1;
      if (!line.starts_with("data:")) continue;
      line = without_space(line.substr(5));
      if (line == "[DONE]") gathered.whole = true;
      else if (!line.empty()) gathered.take(parse_json(line, "an event of the answer"), "delta");
      if (!gathered.error.empty() || gathered.whole) break;
    }
  } catch (const Error& error) {
    return failed("malformed", shortened(error.what()));
  } catch (const json::exception&) {  // a number that does not fit
    return failed("malformed", "a number in the answer makes no sense");
  }
  if (!gathered.error.empty()) return failed("server", shortened(gathered.error));
  if (!gathered.ended()) return failed("cut", "the stream ended before the answer did");
  return gathered.answer();
}

}  // namespace fieldprint
