// Which marks of an answer are control tokens that the model wrote, and which are text that looks like one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

class ControlMarks {
 public:
  explicit ControlMarks(const Tokenizer& tokenizer) : tokenizer_(tokenizer), decoder_(tokenizer, true) {}

  // The answer's next token, whose text shows control tokens.
  void push(TokenId token) {
    decoded_ += decoder_.push(token);
    const std::string_view piece = tokenizer_.piece(token);
    if (tokenizer_.piece(token, false).empty() && !piece.empty() && decoded_.ends_with(piece))
      ranges_.push_back({decoded_.size() - piece.size(), decoded_.size()});
  }

  // Where `text`, which begins as the decoded tokens do, shows control tokens.
  std::vector<TextRange> within(const std::string& text) const {
    const auto same = static_cast<size_t>(
        std::mismatch(text.begin(), text.end(), decoded_.begin(), decoded_.end()).first - text.begin());
    std::vector<TextRange> ranges = ranges_;
    std::erase_if(ranges, [&](const TextRange& range) { return range.end > same; });
    return ranges;
  }

  // Whether the mark at byte `at` of the text is one. Where its name is no control token of the vocabulary it cannot be
  // faked.
  bool is_mark(std::string_view text, size_t at) const {
    constexpr size_t kLongest = 64;  // of a token that stands between < and >
    const auto found = std::lower_bound(ranges_.begin(), ranges_.end(), at,
                                        [](const TextRange& range, size_t place) { return range.begin < place; });
    if (found != ranges_.end() && found->begin == at) return true;
    const std::string_view near = text.substr(at, kLongest);
    const TokenId token = tokenizer_.find(near.substr(0, near.find('>') + 1));
    return token == kNoToken || !tokenizer_.piece(token, false).empty();
  }

 private:
  const Tokenizer& tokenizer_;
  StreamDecoder decoder_;
  std::string decoded_;
  std::vector<TextRange> ranges_;  // ascending
};

}  // namespace fieldprint
