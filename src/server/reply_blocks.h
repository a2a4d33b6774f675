// An answer as a list of blocks, in the order in which the model wrote them: neighbouring pieces of one kind are one
// block. The APIs that number what they stream (Anthropic's content blocks, output items of OpenAI's responses) are
// written upon it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat.h"

namespace fieldprint::server {

struct ReplyBlock {
  ReplyPiece::Kind kind = ReplyPiece::Kind::kContent;  // kContent, kReasoning or, with its arguments, kCall
  std::string id = {};                                 // for whoever listens
  std::string name = {};                               // kCall: the function's
  std::string text = {};                               // kCall: its arguments
};

class ReplyBlocks {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void begin(ReplyBlock& block, size_t index) = 0;
    virtual void more(ReplyBlock& block, size_t index, std::string_view text) = 0;
    virtual void end(ReplyBlock& block, size_t index) = 0;
  };

  explicit ReplyBlocks(Listener& listener) : listener_(listener) {}

  void push(const ReplyPiece& piece) {
    using Kind = ReplyPiece::Kind;
    const Kind kind = piece.kind == Kind::kArguments ? Kind::kCall : piece.kind;
    if (piece.kind == Kind::kCall || !open_ || blocks_.back().kind != kind) {
      if (piece.kind != Kind::kCall && piece.text.empty()) return;
      end();
      open_ = true;
      blocks_.push_back({.kind = kind, .name = piece.kind == Kind::kCall ? piece.text : std::string()});
      listener_.begin(blocks_.back(), blocks_.size() - 1);
    }
    if (piece.kind == Kind::kCall || piece.text.empty()) return;
    blocks_.back().text += piece.text;
    listener_.more(blocks_.back(), blocks_.size() - 1, piece.text);
  }

  // Of the last block, where one is open.
  void end() {
    if (open_) listener_.end(blocks_.back(), blocks_.size() - 1);
    open_ = false;
  }

  const std::vector<ReplyBlock>& all() const { return blocks_; }

 private:
  Listener& listener_;
  std::vector<ReplyBlock> blocks_;
  bool open_ = false;
};

}  // namespace fieldprint::server
