// How many tokens of waiting prompts go along in a step that answers wait for: so many that it takes less than twice as
// long as without them. Their number changes no bit of any result, so it may follow the clock.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>

namespace fieldprint {

class PromptShare {
 public:
  static constexpr int kLeast = 16, kMost = 256, kFirst = 32;
  static constexpr double kTimes = 1.8;  // of a step without prompts

  explicit PromptShare(int fixed) : fixed_(fixed) {}  // 0: by the clock

  int tokens() const { return fixed_ > 0 ? fixed_ : share_; }

  // What a step took, with so many answers and tokens of prompts.
  void measured(int answers, int prompt_tokens, double seconds) {
    if (answers == 0) return;
    if (prompt_tokens == 0) {
      const auto [known, first] = plain_.try_emplace(answers, seconds);
      if (!first) known->second += kWeight * (std::min(seconds, 2 * known->second) - known->second);
      return;
    }
    if (plain_.empty() || prompt_tokens < share_ / 2) return;
    const double plain = plain_of(answers), prompts = seconds - plain;
    if (prompts <= 0) return;
    const double fitting = prompt_tokens * (kTimes - 1) * plain / prompts;
    // Down at once, up by and by.
    const double next = std::clamp(fitting, 0.5 * share_, 1.1 * share_ + 1);
    share_ = std::clamp(static_cast<int>(next), kLeast, kMost);
  }

 private:
  static constexpr double kWeight = 0.1;

  double plain_of(int answers) const {  // that of the nearest number of them that is known
    const auto above = plain_.lower_bound(answers);
    if (above == plain_.end()) return std::prev(above)->second;
    if (above == plain_.begin() || above->first == answers) return above->second;
    const auto below = std::prev(above);
    return answers - below->first < above->first - answers ? below->second : above->second;
  }

  const int fixed_;
  int share_ = kFirst;
  std::map<int, double> plain_;  // seconds of steps without prompts, by answers
};

}  // namespace fieldprint
