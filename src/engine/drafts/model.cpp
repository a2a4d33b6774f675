// Another model of the same vocabulary, greedy: it goes on as long as it is rather sure.
#include <algorithm>
#include <cmath>

#include "engine/drafts/draft.h"
#include "engine/stepper.h"

namespace fieldprint {
namespace {

constexpr float kLeastProbability = 0.5f;  // of a token that is worth a place in the step

class ModelDraft final : public Draft {
 public:
  explicit ModelDraft(std::shared_ptr<Stepper> stepper) : stepper_(std::move(stepper)), sequence_(stepper_->begin()) {}

  bool read(std::span<const TokenId> history, int most) override {
    if (history.size() > static_cast<size_t>(stepper_->context())) return false;
    auto& own = sequence_.tokens;
    auto same =
        static_cast<size_t>(std::mismatch(own.begin(), own.end(), history.begin(), history.end()).first - own.begin());
    if (same == history.size() && (same < own.size() || sequence_.logits.empty())) --same;  // for its logits
    stepper_->truncate(sequence_, static_cast<int>(same));
    const auto part = history.subspan(same, std::min(static_cast<size_t>(most), history.size() - same));
    if (!part.empty()) stepper_->step(sequence_, part, LogitRows::kLast);
    return own.size() == history.size();
  }

  void guess(std::span<const TokenId> history, int most, std::vector<TokenId>* tokens) override {
    const int room = stepper_->context() - static_cast<int>(history.size());
    for (int i = 0; i < std::min(most, room); ++i) {
      const auto& logits = sequence_.logits;
      const auto top = std::max_element(logits.begin(), logits.end());
      float sum = 0;
      for (const float logit : logits) sum += std::exp(logit - *top);
      if (!(sum * kLeastProbability <= 1)) return;
      const auto token = static_cast<TokenId>(top - logits.begin());
      tokens->push_back(token);
      if (stepper_->model().tokenizer().ends_generation(token) || i + 1 == std::min(most, room)) return;
      stepper_->step(sequence_, {&token, 1}, LogitRows::kLast);
    }
  }

 private:
  std::shared_ptr<Stepper> stepper_;
  Sequence sequence_;
};

}  // namespace

DraftRow model_draft() {
  return {"model", true, [](const std::shared_ptr<Stepper>& model) -> std::unique_ptr<Draft> {
            return std::make_unique<ModelDraft>(model);
          }};
}

}  // namespace fieldprint
