#include "eval/answer_reader.h"

#include "eval/pattern.h"

namespace fieldprint {

AnswerReader::AnswerReader(const ChatFormat* format, const std::vector<std::string>& until)
    : format_(format), stops_(until) {
  if (format_ != nullptr) stream_.emplace(*format_, format_->shows_control());
}

bool AnswerReader::take(const Generation& so_far) {
  answer_.tokens = static_cast<int>(so_far.tokens.size());
  const std::string_view fresh = std::string_view(so_far.text).substr(answer_.raw.size());
  const auto tokens = std::span(so_far.tokens).subspan(tokens_);
  answer_.raw = so_far.text;
  tokens_ = so_far.tokens.size();
  if (!stream_) return true;
  add(stream_->push(fresh, format_->shows_control() ? tokens : std::span<const TokenId>()));
  return !stops_.met();
}

EvalAnswer AnswerReader::finish() {
  if (!stream_) {
    answer_.text = answer_.raw;
    return std::move(answer_);
  }
  add(stream_->finish());
  if (!stops_.met()) answer_.text += stops_.rest();
  const bool began = reasoned_ || format_->opens_thought() || strip_left(answer_.raw).starts_with("<think>");
  answer_.unclosed = began && answer_.text.empty() && answer_.raw.find("</think>") == std::string::npos;
  return std::move(answer_);
}

void AnswerReader::add(const std::vector<ReplyPiece>& pieces) {
  for (const ReplyPiece& piece : pieces) {
    reasoned_ = reasoned_ || piece.kind == ReplyPiece::Kind::kReasoning;
    if (piece.kind != ReplyPiece::Kind::kContent || stops_.met()) continue;
    std::string_view text = piece.text;
    if (!spoke_) text = strip_left(text);  // behind a thought, and before the stops: these may be line ends
    spoke_ = spoke_ || !text.empty();
    answer_.text += stops_.push(text);
  }
}

}  // namespace fieldprint
