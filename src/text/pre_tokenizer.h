// How a byte-level vocabulary cuts text into words before merging: one table row per `tokenizer.ggml.pre` name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex_splitter.h"
#include "text/word_splitter.h"

namespace fieldprint {

// A set of patterns that many names share.
struct SplitFamily {
  std::span<const std::string_view> patterns;  // applied in turn, see RegexSplitter
  NextWord next_word;                          // the same by hand, or nullptr
};

struct PreTokenizerRow {
  std::string_view name;
  const SplitFamily* family;
  bool ignore_merges;  // a word that is a token is that token, whatever the merges say
  bool add_bos;        // where the file does not say
};

// The row of `name`; Error kUnsupported, naming the known ones, where there is none. An empty name is "default".
const PreTokenizerRow& find_pre_tokenizer(std::string_view name);
std::span<const PreTokenizerRow> pre_tokenizers();

class PreTokenizer {
 public:
  explicit PreTokenizer(const SplitFamily& family);

  // Appends the end of every word of `text` to `ends`; the last is text.size(). Any bytes, linear time.
  void split(std::string_view text, std::vector<size_t>& ends) const;

 private:
  NextWord next_word_;
  RegexSplitter regex_;  // without patterns where next_word_ does the work
};

}  // namespace fieldprint
