// Splits text by a chain of regular expressions (PCRE2, UTF and UCP): each pattern cuts every piece that the ones
// before it left into its matches and what lies between them. Lookaheads see the end of a piece as the end of the text.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

class RegexSplitter {
 public:
  // The patterns are ours, so a faulty one is an assert. `\s` means White_Space here, as in other engines.
  explicit RegexSplitter(std::span<const std::string_view> patterns);
  ~RegexSplitter();

  // Appends the end of every piece to `ends`. A byte that belongs to no character is a symbol of its own.
  void split(std::string_view text, std::vector<size_t>& ends) const;

 private:
  struct Pattern;
  std::vector<std::unique_ptr<Pattern>> patterns_;
};

}  // namespace fieldprint
