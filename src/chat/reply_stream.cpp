// Answers taken apart while they come: what is certain goes out, the rest waits.
#include <algorithm>
#include <utility>

#include "chat/control_marks.h"
#include "chat/tool_format.h"
#include "fieldprint/chat.h"

namespace fieldprint {

using Kind = ReplyPiece::Kind;

struct ReplyStream::State {
  State(const ChatFormat& format, const Tokenizer& tokenizer, bool with_tokens)
      : marks(tokenizer), marked(with_tokens) {
    const auto& all = tool_formats();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const ToolFormat* f) { return f->name == format.call_format(); });
    if (found != all.end()) calls = *found;
  }

  ControlMarks marks;
  const bool marked;
  const ToolFormat* calls = nullptr;
  ReplyOptions options;

  std::string text;
  enum class Phase { kStart, kThought, kBehindThought, kAnswer } phase = Phase::kStart;
  size_t base = 0;  // what comes before is done with
  // Of what lies behind it, bytes that went out, and calls.
  size_t content = 0, reasoning = 0, begun = 0, arguments = 0;
  int before = 0;  // calls in what is done with
  bool thought = false;
  std::vector<std::string> refusals;
  std::vector<ReplyPiece> out;

  void emit(Kind kind, std::string_view piece, int call = 0) {
    if (!piece.empty() || kind == Kind::kCall) out.push_back({kind, std::string(piece), call});
  }
  // The part of `all` behind its first `given` bytes, which have gone out.
  void emit_rest(Kind kind, std::string_view all, size_t& given, int call = 0) {
    if (all.size() <= given) return;
    emit(kind, all.substr(given), call);
    given = all.size();
  }

  bool think(bool last);
  void take(bool last);
  void emit_calls(const std::vector<ToolCall>& all);
  void settle(std::string_view unit, const ReplyOptions& inside);
};

// The thought in front of an answer, as parse_reply() reads it. False: more text is needed.
bool ReplyStream::State::think(bool last) {
  constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>", kSpace = " \t\r\n";
  if (phase == Phase::kStart) {
    const size_t first = std::min(text.find_first_not_of(kSpace), text.size());
    const std::string_view rest = std::string_view(text).substr(first);
    const bool says = rest.starts_with(kThink);
    if (!says && !last && kThink.starts_with(rest)) return false;
    phase = says || options.thinking ? Phase::kThought : Phase::kAnswer;
    base = says ? first + kThink.size() : 0;
  }
  if (phase == Phase::kThought) {
    const std::string_view rest = std::string_view(text).substr(base);
    const size_t end = rest.find(kThinkEnd);
    const std::string_view inside = rest.substr(0, end);
    // Without white space at both ends: what may be such waits.
    const std::string_view sure =
        end == rest.npos && !last ? inside.substr(0, inside.size() - held_back(inside, kThinkEnd)) : inside;
    emit_rest(Kind::kReasoning, trimmed(sure), reasoning);
    if (end == rest.npos && !last) return false;
    base = std::min(text.size(), end == rest.npos ? text.size() : base + end + kThinkEnd.size());
    phase = Phase::kBehindThought;
  }
  if (phase == Phase::kBehindThought) {
    base = std::min(text.find_first_not_of("\r\n", base), text.size());
    if (base == text.size() && !last) return false;
    phase = Phase::kAnswer;
  }
  return true;
}

void ReplyStream::State::emit_calls(const std::vector<ToolCall>& all) {
  for (size_t i = begun > 0 ? begun - 1 : 0; i < all.size(); ++i) {
    const int number = before + static_cast<int>(i);
    if (i >= begun) emit(Kind::kCall, all[i].name, number), begun = i + 1, arguments = 0;
    emit_rest(Kind::kArguments, all[i].arguments, arguments, number);
  }
}

void ReplyStream::State::settle(std::string_view unit, const ReplyOptions& inside) {
  Reply reply;
  if (calls != nullptr) calls->read(unit, inside, reply);
  else keep_content(reply, unit, 0, unit.size());
  if (reply.calls.size() < begun) {  // the answer ends within a call that has gone out in part: its text is no content
    const PartialReply cut = calls->partial(unit, inside);
    reply.content = unit.substr(cut.content.begin, cut.content.end - cut.content.begin);
    reply.calls = cut.calls;
  }
  if (reasoning == 0 && thought && !reply.reasoning.empty()) emit(Kind::kReasoning, "\n");
  thought = thought || !reply.reasoning.empty();
  emit_rest(Kind::kReasoning, reply.reasoning, reasoning);
  emit_rest(Kind::kContent, reply.content, content);
  emit_calls(reply.calls);
  before += static_cast<int>(std::max(begun, reply.calls.size()));
  refusals.insert(refusals.end(), reply.refusals.begin(), reply.refusals.end());
  base += unit.size();
  content = reasoning = begun = arguments = 0;
}

void ReplyStream::State::take(bool last) {
  if (phase != Phase::kAnswer) {
    if (options.thinks) {
      if (!think(last)) return;
    } else {
      phase = Phase::kAnswer;
    }
    thought = reasoning > 0;
    reasoning = 0;
  }
  for (;;) {
    const std::string_view rest = std::string_view(text).substr(base);
    ReplyOptions inside = options;
    if (marked) inside.is_mark = [this, from = base](size_t at) { return marks.is_mark(text, from + at); };
    PartialReply partial;
    if (calls != nullptr) partial = calls->partial(rest, inside);
    else partial.content = {0, rest.size()};
    if (partial.settled > 0) {
      settle(rest.substr(0, partial.settled), inside);
      continue;
    }
    if (last) return settle(rest, inside);
    const auto part = [&](const TextRange& range) { return rest.substr(range.begin, range.end - range.begin); };
    if (reasoning == 0 && thought && partial.reasoning.end > partial.reasoning.begin) emit(Kind::kReasoning, "\n");
    emit_rest(Kind::kReasoning, part(partial.reasoning), reasoning);
    emit_rest(Kind::kContent, part(partial.content), content);
    emit_calls(partial.calls);
    return;
  }
}

ReplyStream::ReplyStream(const ChatFormat& format, bool with_tokens)
    : state_(std::make_unique<State>(format, format.tokenizer_, with_tokens)) {
  state_->options = {
      .tools = format.options_.tools, .thinks = format.thinks(), .valid_calls = format.options_.valid_calls};
  state_->options.thinking = state_->options.thinks && format.opens_thought();
}

ReplyStream::~ReplyStream() = default;
ReplyStream::ReplyStream(ReplyStream&&) noexcept = default;

std::vector<ReplyPiece> ReplyStream::push(std::string_view text, std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) state_->marks.push(token);
  state_->text += text;
  state_->take(false);
  return std::exchange(state_->out, {});
}

std::vector<ReplyPiece> ReplyStream::finish() {
  state_->take(true);
  return std::exchange(state_->out, {});
}

const std::vector<std::string>& ReplyStream::refusals() const { return state_->refusals; }

int ReplyStream::calls() const { return state_->before + static_cast<int>(state_->begun); }

}  // namespace fieldprint
