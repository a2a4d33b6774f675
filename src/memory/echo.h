// Recall echoes: text that a session was shown by recall, and that comes back as if it were new. It is recognised by
// its words, whatever was put around it or between them: quotes, JSON escapes, white space, capitals. One thread at a
// time.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace fieldprint::memory {

class EchoFilter {
 public:
  // What the session has been shown.
  void shown(std::string_view text);
  // Whether at least half of `text` was shown: of its letters and digits, in stretches of 16.
  bool echoes(std::string_view text) const;

 private:
  std::unordered_set<uint64_t> stretches_;
};

}  // namespace fieldprint::memory
