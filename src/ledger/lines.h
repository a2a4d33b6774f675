// The lines of a text whose every line ends with a line break, one after the other.
#pragma once

#include <string_view>

#include "fieldprint/error.h"

namespace fieldprint::ledger {

class Lines {
 public:
  explicit Lines(std::string_view text) : left_(text) {}

  bool done() const { return left_.empty(); }
  std::string_view left() const { return left_; }
  // Without its line break. Error kBadInput where none is left.
  std::string_view next() {
    const size_t end = left_.find('\n');
    if (end == left_.npos) throw Error(ErrorKind::kBadInput, "a text that ends too early");
    const std::string_view line = left_.substr(0, end);
    left_.remove_prefix(end + 1);
    return line;
  }

 private:
  std::string_view left_;
};

}  // namespace fieldprint::ledger
