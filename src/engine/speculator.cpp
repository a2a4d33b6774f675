#include "engine/speculator.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr double kAllowance = 0.01;  // of the time of plain steps may be lost
constexpr double kMostCredit = 8;    // plain steps: gains of long ago do not pay for losses of today
constexpr double kFirstCredit = 1;   // plain steps
constexpr int kPlainFirst = 2;       // steps without drafts, to know what one takes
constexpr double kWeight = 0.1;      // of a new measurement
constexpr int kReadAtOnce = 256;     // tokens that a draft takes in beside a step

void check_vocabulary(const LoadedModel& target, const LoadedModel& draft) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kUsage, "the draft model has another vocabulary: " + why, draft.info().path,
                "a smaller model of the same family drafts well");
  };
  const Tokenizer &a = target.tokenizer(), &b = draft.tokenizer();
  if (a.size() != b.size()) refuse(fmt::format("{} tokens, not {}", b.size(), a.size()));
  for (TokenId t = 0; t < a.size(); ++t) {
    if (a.piece(t, true) != b.piece(t, true))
      refuse(fmt::format("token {} is '{}', not '{}'", t, b.piece(t, true), a.piece(t, true)));
  }
}

}  // namespace

std::vector<std::string> draft_names() {
  std::vector<std::string> names;
  for (const DraftRow& row : drafts()) names.emplace_back(row.name);
  return names;
}

Speculator::Speculator(const Stepper& target) : max_tokens_(target.options().speculation.max_tokens) {
  const Speculation& options = target.options().speculation;
  if (options.drafts == "off") return;
  if (max_tokens_ < 1 || max_tokens_ > 256)
    throw Error(ErrorKind::kUsage, fmt::format("{} drafted tokens a step", max_tokens_), {}, "1 to 256");
  always_ = options.drafts != "auto";
  const std::string name = always_ ? options.drafts : options.model != nullptr ? "model" : "ngram";
  for (const DraftRow& row : drafts()) {
    if (row.name == name) row_ = &row;
  }
  if (row_ == nullptr) {
    throw Error(ErrorKind::kUsage, fmt::format("there are no drafts '{}'", name), {},
                fmt::format("off, auto, {}", fmt::join(draft_names(), ", ")));
  }
  if (!row_->needs_model) return;
  if (options.model == nullptr) throw Error(ErrorKind::kUsage, "drafts of a model need a draft model");
  const auto model = loaded(options.model);
  check_vocabulary(target.model(), *model);
  SessionOptions of_drafts;
  of_drafts.context = std::min(target.context(), model->info().context);
  model_ = std::make_shared<Stepper>(model, of_drafts);
}

std::unique_ptr<Draft> Speculator::draft() const { return row_ != nullptr ? row_->make(model_) : nullptr; }

int Speculator::most(int answers) const {
  const std::lock_guard lock(mutex_);
  if (row_ == nullptr || answers < 1 || answers > kMaxAnswers) return 0;
  if (always_) return max_tokens_;
  const Plain& plain = plain_[static_cast<size_t>(answers)];
  if (plain.steps < kPlainFirst) return 0;
  // If none of them is right, all that they cost is lost.
  const double affordable = credit_ / (row_cost_ * plain_[static_cast<size_t>(answers)].seconds);
  return static_cast<int>(std::clamp(affordable / answers, 0.0, static_cast<double>(max_tokens_)));
}

void Speculator::judged(const StepOutcome& outcome) {
  const std::lock_guard lock(mutex_);
  if (row_ == nullptr || always_ || !outcome.counts || outcome.answers < 1 || outcome.answers > kMaxAnswers) return;
  Plain& plain = plain_[static_cast<size_t>(outcome.answers)];
  if (outcome.drafted == 0 && !outcome.replayed) {
    if (plain.steps++ == 0) plain.seconds = outcome.seconds;
    else
      plain.seconds +=
          std::max(kWeight, 1.0 / plain.steps) * (std::min(outcome.seconds, 2 * plain.seconds) - plain.seconds);
    if (plain.steps == kPlainFirst) credit_ = std::max(credit_, kFirstCredit * plain.seconds);
    credit_ += kAllowance * outcome.seconds;
  } else if (plain.steps > 0) {
    const double extra = outcome.seconds - plain.seconds;
    if (outcome.drafted > 0 && !outcome.replayed) {
      const double cost = std::max(0.02, extra / plain.seconds / outcome.drafted);
      row_cost_ += kWeight * (std::min(cost, 1.5) - row_cost_);
    }
    credit_ += outcome.accepted * plain.seconds / outcome.answers - extra;
  }
  credit_ = std::min(credit_, kMostCredit * plain.seconds);
}

std::span<const TokenId> DraftedSteps::history(const Sequence& sequence) const {
  const std::span<const TokenId> all = sequence.tokens;
  return rows_.empty() ? all : all.first(all.size() - static_cast<size_t>(drafted() - confirmed_));
}

std::span<const float> DraftedSteps::logits(const Sequence& sequence) const {
  if (rows_.empty()) return sequence.logits;
  const size_t width = rows_.size() / fed_.size();
  return std::span(rows_).subspan(static_cast<size_t>(confirmed_) * width, width);
}

std::span<const float> DraftedSteps::hidden(const Sequence& sequence) const {
  if (rows_.empty()) return sequence.hidden;
  const size_t width = hidden_.size() / fed_.size();
  return std::span(hidden_).subspan(static_cast<size_t>(confirmed_) * width, width);
}

bool DraftedSteps::confirm(TokenId token) {
  if (rows_.empty() || confirmed_ == drafted() || fed_[static_cast<size_t>(confirmed_) + 1] != token) return false;
  ++confirmed_;
  return true;
}

void DraftedSteps::settle(Sequence& sequence) {
  if (rows_.empty()) return;
  length_ = confirmed_ == drafted() ? std::max(length_, 2 * drafted()) : confirmed_ + 1;
  const auto last = logits(sequence), behind = hidden(sequence);
  const size_t stands = history(sequence).size();
  sequence.stepper->truncate(sequence, static_cast<int>(stands));
  sequence.logits.assign(last.begin(), last.end());
  sequence.hidden.assign(behind.begin(), behind.end());
  rows_.clear();
  fed_.clear();
}

std::span<const TokenId> DraftedSteps::propose(const Sequence& sequence, TokenId next, int most) {
  fed_.assign(1, next);
  confirmed_ = 0;
  if (draft_ != nullptr && most > 0) {
    std::vector<TokenId> history = sequence.tokens;
    history.push_back(next);
    reading_ = !draft_->read(history, kReadAtOnce);
    if (!reading_) draft_->guess(history, std::min(most, length_), &fed_);
    if (fed_.size() > 1 && sequence.replay == 0) sequence.state->mark(static_cast<int>(sequence.tokens.size()));
  }
  return fed_;
}

void DraftedSteps::take(std::span<const float> rows, std::span<const float> hidden) {
  rows_.assign(rows.begin(), rows.end());
  hidden_.assign(hidden.begin(), hidden.end());
}

}  // namespace fieldprint
