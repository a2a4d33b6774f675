// Holds back the end of a stream of text while it may still turn into a stop string.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) { std::erase(stops_, std::string()); }

  // The text now certain to come before any stop string. Text that is not `shown`, the name of a control token, may be
  // or end one too, but is never given out.
  std::string push(std::string_view text, bool shown = true) {
    if (!shown && stops_.empty()) return {};
    held_ += text;
    shown_.insert(shown_.end(), text.size(), shown);
    size_t first = std::string::npos;
    for (const std::string& stop : stops_) {
      const size_t at = held_.find(stop);
      if (at < first) first = at, met_ = stop;
    }
    if (met()) return take(first);
    size_t keep = 0;  // the longest end of held_ that some stop string begins with
    for (const std::string& stop : stops_) {
      for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
        if (held_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
      }
    }
    // Never cut inside a UTF-8 character: what is kept begins where a character does.
    while (keep > 0 && keep < held_.size() && (static_cast<unsigned char>(held_[held_.size() - keep]) & 0xc0) == 0x80)
      ++keep;
    return take(held_.size() - keep);
  }

  bool met() const { return !met_.empty(); }
  const std::string& which() const { return met_; }  // "" = none yet
  std::string rest() { return take(held_.size()); }

 private:
  std::string take(size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) {
      if (shown_[i]) out += held_[i];
    }
    held_.erase(0, n);
    shown_.erase(shown_.begin(), shown_.begin() + static_cast<std::ptrdiff_t>(n));
    return out;
  }

  std::vector<std::string> stops_;
  std::string held_;
  std::vector<bool> shown_;  // of each byte held
  std::string met_;
};

}  // namespace fieldprint
