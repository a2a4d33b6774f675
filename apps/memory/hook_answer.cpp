#include "memory/hook_answer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "memory/present.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

// What a tool returned, as text: agents have it as a text, as content blocks, or as an object by the tool.
std::string output_text(const Json& response) {
  if (response.is_string()) return response.get<std::string>();
  if (response.is_object()) {
    for (const char* name : {"stdout", "result", "output", "text", "content"}) {
      const auto found = response.find(name);
      if (found == response.end()) continue;
      if (std::string text = output_text(*found); !text.empty()) return text;
    }
    return response.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (response.is_array()) {
    std::string all;
    for (const Json& block : response) {
      if (const std::string text = text_at(block.is_object() ? block : Json{{"text", block}}, "text"); !text.empty())
        all += (all.empty() ? "" : "\n") + text;
    }
    return all;
  }
  return {};
}

}  // namespace

HookEvent parse_hook(const std::string& text, const std::string& name) {
  check_json(text, "the hook");
  const Json json = Json::parse(text);
  if (!json.is_object()) throw Error(ErrorKind::kBadInput, "a hook is a JSON object", "the hook");
  HookEvent event;
  event.name = text_at(json, "hook_event_name");
  if (event.name.empty()) event.name = name;
  event.session = text_at(json, "session_id");
  event.prompt = text_at(json, "prompt");
  event.answer = text_at(json, "last_assistant_message");
  if (text_at(json, "type") == "agent-turn-complete") {  // Codex's older notification
    event.name = "Stop";
    event.session = text_at(json, "thread-id");
    event.answer = text_at(json, "last-assistant-message");
  }
  event.tool = text_at(json, "tool_name");
  if (const auto response = json.find("tool_response"); response != json.end()) event.output = output_text(*response);
  if (const auto input = json.find("tool_input"); input != json.end() && input->is_object()) {
    event.uri = text_at(*input, "url");
    event.web = !event.uri.empty() || event.tool == "WebSearch";
  }
  return event;
}

std::string asked_to_remember(const std::string& prompt) {
  std::string small = prompt.substr(0, 64);
  std::ranges::transform(small, small.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  size_t at = small.find_first_not_of(" \t\n");
  if (at == std::string::npos) return {};
  const auto skip = [&](std::string_view word) {
    if (std::string_view(small).substr(at).starts_with(word)) at += word.size();
    else return false;
    return true;
  };
  skip("please ");
  if (!skip("remember that ") && !skip("remember this: ") && !skip("remember: ")) return {};
  const size_t begin = prompt.find_first_not_of(" \t\n", at);
  return begin == std::string::npos ? std::string() : prompt.substr(begin);
}

std::string HookAnswer::json(const std::string& event) const {
  Json json;
  if (!message.empty()) json["systemMessage"] = "fieldprint memory: " + message;
  if (!context.empty()) json["hookSpecificOutput"] = {{"hookEventName", event}, {"additionalContext", context}};
  return json.is_null() ? std::string() : json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string quoted_records(const Json& items, const std::string& what) {
  std::string text = what + "\n";
  int number = 0;
  for (const Json& item : items) {
    std::string line = fmt::format("[{}] record {}", ++number, short_id(item));
    for (const char* name : {"kind", "status"}) {
      if (const std::string value = text_at(item, name); !value.empty()) line += ", " + value;
    }
    line += ", label " + integrity_of(item);
    if (const std::string uri = text_at(item, "uri"); !uri.empty()) line += ", from <" + printable_line(uri) + ">";
    if (const auto proof = item.find("proof"); proof != item.end()) line += ", proof: " + proof_text(*proof);
    text += "\n" + line + "\n" + quoted_lines(text_at(item, "text"), "");
  }
  return text;
}

struct HookDeadline::State {
  std::mutex mutex;
  std::condition_variable done;
  bool finished = false;
  std::string answer;
  std::thread thread;
};

HookDeadline::HookDeadline(std::chrono::milliseconds patience) : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get(), until = std::chrono::steady_clock::now() + patience] {
    std::unique_lock lock(state->mutex);
    if (state->done.wait_until(lock, until, [state] { return state->finished; })) return;
    [[maybe_unused]] const ssize_t told = ::write(STDOUT_FILENO, state->answer.data(), state->answer.size());
    ::_exit(0);
  });
}

HookDeadline::~HookDeadline() {
  finish();
  state_->thread.join();
}

void HookDeadline::late(std::string answer) {
  const std::lock_guard lock(state_->mutex);
  state_->answer = std::move(answer);
}

void HookDeadline::finish() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->finished = true;
  }
  state_->done.notify_all();
}

}  // namespace fieldprint::cli
