// DRY, "don't repeat yourself" (p-e-w 2024, text-generation-webui pull request 5677): where the last n tokens stand in
// the window a second time and a token followed them there, that token would lengthen the repetition to n + 1. Its
// logit loses multiplier * base^(n - allowed) where n >= allowed, for the largest such n. No repetition reaches across
// a breaker: it begins at most at the token after the one in which the last breaker ends. A token that holds a breaker
// itself is never penalised.
#include <cmath>
#include <limits>

#include "engine/sampling/stage.h"

namespace fieldprint {
namespace {

class Dry final : public SamplerStage {
 public:
  Dry(const SamplingOptions& options, const SamplerModel& model)
      : options_(options), tokenizer_(model.tokenizer), longest_(static_cast<size_t>(model.vocabulary)) {
    for (const std::string& breaker : options_.dry_breakers) reach_ = std::max(reach_, breaker.size());
  }

  void apply(Candidates& candidates, std::span<const TokenId> history, SamplerState&) override {
    const auto recent = last_tokens(history, options_.dry_window);
    const size_t limit = since_breaker(recent), count = recent.size();
    const auto allowed = static_cast<size_t>(options_.dry_allowed_length);
    if (limit < allowed || count <= allowed) return;
    common_ends(recent);
    for (size_t back = 1; back < count; ++back) {
      const TokenId follows = recent[count - back];
      const size_t length = std::min(common_[back], limit);
      if (length < allowed || follows >= static_cast<TokenId>(longest_.size())) continue;
      size_t& longest = longest_[static_cast<size_t>(follows)];
      if (longest == 0) found_.push_back(follows);
      longest = std::max(longest, length);
    }
    for (const TokenId token : found_) {
      const size_t length = std::exchange(longest_[static_cast<size_t>(token)], 0);
      if (float* const logit = breaks(piece(token)) ? nullptr : candidates.find(token)) *logit -= penalty(length);
    }
    found_.clear();
  }

 private:
  std::string_view piece(TokenId token) const {
    const bool text = tokenizer_ != nullptr && token < tokenizer_->size();
    return text ? tokenizer_->piece(token) : std::string_view();
  }

  bool breaks(std::string_view text) const {
    const auto& all = options_.dry_breakers;
    return std::any_of(all.begin(), all.end(), [&](const auto& b) { return text.find(b) != text.npos; });
  }

  // Tokens at the end that follow the one in which the last breaker ends.
  size_t since_breaker(std::span<const TokenId> tokens) const {
    if (reach_ == 0 || tokenizer_ == nullptr) return tokens.size();
    std::string text;  // of the tokens looked at, as far as a breaker that begins before them may reach
    for (size_t after = 0; after < tokens.size(); ++after) {
      const size_t at = tokens.size() - 1 - after;
      const std::string_view own = piece(tokens[at]);
      text.insert(0, own);
      size_t begin = text.npos, end = 0;  // of the last breaker that begins in this token
      for (const std::string& breaker : options_.dry_breakers) {
        const size_t found = own.empty() ? text.npos : text.rfind(breaker, own.size() - 1);
        if (found != text.npos && (begin == text.npos || found + breaker.size() > end))
          begin = found, end = found + breaker.size();
      }
      if (begin != text.npos) {
        size_t last = at;  // where it ends
        for (size_t reached = own.size(); reached < end; ++last) reached += piece(tokens[last + 1]).size();
        return tokens.size() - 1 - last;
      }
      if (text.size() >= reach_) text.resize(reach_ - 1);
    }
    return tokens.size();
  }

  // common_[k]: how many tokens the sequence and the sequence without its last k have in common at their ends: the
  // Z-function of the reversed tokens.
  void common_ends(std::span<const TokenId> tokens) {
    const size_t count = tokens.size();
    const auto reversed = [&](size_t i) { return tokens[count - 1 - i]; };
    common_.assign(count, 0);
    for (size_t k = 1, left = 0, right = 0; k < count; ++k) {
      size_t length = k < right ? std::min(right - k, common_[k - left]) : 0;
      while (k + length < count && reversed(length) == reversed(k + length)) ++length;
      common_[k] = length;
      if (k + length > right) left = k, right = k + length;
    }
  }

  float penalty(size_t length) const {
    constexpr double kMost = std::numeric_limits<float>::max() / 4;  // a penalty, not a ban
    double penalty = static_cast<double>(options_.dry_multiplier);
    for (size_t n = static_cast<size_t>(options_.dry_allowed_length); n < length && penalty < kMost; ++n)
      penalty *= static_cast<double>(options_.dry_base);
    return static_cast<float>(std::min(penalty, kMost));
  }

  const SamplingOptions& options_;
  const Tokenizer* tokenizer_;
  size_t reach_ = 0;  // bytes of the longest breaker
  std::vector<size_t> common_;
  std::vector<size_t> longest_;  // [vocabulary], of the repetition that a token would lengthen; zero between calls
  std::vector<TokenId> found_;
};

bool on(const SamplingOptions& o) { return o.dry_multiplier != 0 && o.dry_window != 0; }

void check(const SamplingOptions& o, const SamplerModel&) {
  require_sampling(o.dry_multiplier >= 0 && std::isfinite(o.dry_multiplier), "DRY multiplier", o.dry_multiplier,
                   "0 (off) or more");
  require_sampling(o.dry_base >= 1 && std::isfinite(o.dry_base), "DRY base", o.dry_base, "1 or more");
  require_sampling(o.dry_allowed_length >= 1, "DRY allowed length", static_cast<float>(o.dry_allowed_length),
                   "1 or more");
  require_sampling(o.dry_window >= -1, "DRY window", static_cast<float>(o.dry_window), "-1 (all) or more");
  for (const std::string& breaker : o.dry_breakers)
    require_sampling(!breaker.empty(), "the length of a DRY sequence breaker", 0, "1 or more");
}

std::unique_ptr<SamplerStage> make(const SamplingOptions& options, const SamplerModel& model) {
  return std::make_unique<Dry>(options, model);
}

}  // namespace

SamplerStageRow dry_stage() { return {"dry", SamplerStageRow::Kind::kLogits, true, on, check, make}; }

}  // namespace fieldprint
