// A set of words, written as one text.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace fieldprint {

class WordSet {
 public:
  // Separated by single spaces; the text must outlive the set.
  explicit WordSet(std::string_view words) {
    for (size_t at = 0; at < words.size();) {
      const size_t end = std::min(words.find(' ', at), words.size());
      words_.push_back(words.substr(at, end - at));
      at = end + 1;
    }
    std::sort(words_.begin(), words_.end());
  }
  bool contains(std::string_view word) const { return std::binary_search(words_.begin(), words_.end(), word); }

 private:
  std::vector<std::string_view> words_;
};

}  // namespace fieldprint
