// What a sampler is made of: stages that change the logits of candidates or cut some of them, one file each, one row
// each in stages.def. A stage is made for one answer and may remember what it likes of it.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

#include "base/rng.h"
#include "engine/sampling/candidates.h"
#include "fieldprint/sampling.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

// What stages know of the model.
struct SamplerModel {
  int vocabulary = 0;                    // tokens that may be chosen
  const Tokenizer* tokenizer = nullptr;  // nullptr: texts of tokens are unknown
};

// What the stages of one answer share.
struct SamplerState {
  explicit SamplerState(uint64_t seed) : rng(seed) {}
  Rng rng;
  const TokenSet* allowed = nullptr;  // by the request's mask; nullptr: all
  double probability = 1;             // of the token that was drawn, among the candidates of the draw
};

class SamplerStage {
 public:
  virtual ~SamplerStage() = default;
  // `history`: all tokens so far, prompt included. At least one candidate must stay.
  virtual void apply(Candidates& candidates, std::span<const TokenId> history, SamplerState& state) = 0;
  // After the draw.
  virtual void chosen(TokenId token, SamplerState& state) { (void)token, (void)state; }
};

struct SamplerStageRow {
  enum class Kind {
    kLogits,  // changes logits; at temperature 0 too
    kCut,     // takes candidates away; neither at temperature 0 nor beside Mirostat
    kDraw,    // what comes last; not at temperature 0
  };
  std::string_view name;  // in SamplingOptions::samplers
  Kind kind;
  bool movable;  // SamplingOptions::samplers says where it runs; else its row does
  bool (*on)(const SamplingOptions& options);
  void (*check)(const SamplingOptions& options, const SamplerModel& model);  // throws Error kUsage
  // The options outlive the stage.
  std::unique_ptr<SamplerStage> (*make)(const SamplingOptions& options, const SamplerModel& model);
};

std::span<const SamplerStageRow> sampler_stages();  // in the usual order

// ---- For the stages' files.

// Throws Error kUsage "WHAT is VALUE, expected RANGE" unless `ok`.
void require_sampling(bool ok, std::string_view what, float value, std::string_view range);

// Those of `history` that a window of `size` shows; -1: all.
inline std::span<const TokenId> last_tokens(std::span<const TokenId> history, int size) {
  return size < 0 ? history : history.last(std::min(history.size(), static_cast<size_t>(size)));
}

// For stages without a memory: apply(options, candidates, state).
template <auto kApply>
std::unique_ptr<SamplerStage> make_plain_stage(const SamplingOptions& options, const SamplerModel&) {
  class Plain final : public SamplerStage {
   public:
    explicit Plain(const SamplingOptions& o) : options_(o) {}
    void apply(Candidates& candidates, std::span<const TokenId>, SamplerState& state) override {
      kApply(options_, candidates, state);
    }

   private:
    const SamplingOptions& options_;
  };
  return std::make_unique<Plain>(options);
}

}  // namespace fieldprint
