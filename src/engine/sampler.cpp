#include "engine/sampler.h"

#include <fmt/format.h>

#include <cmath>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Kind = SamplerStageRow::Kind;

// The rows in the order that `samplers` asks for: what is movable stands where it is named, or not at all.
std::vector<const SamplerStageRow*> ordered(const std::vector<std::string>& samplers) {
  const auto rows = sampler_stages();
  std::vector<const SamplerStageRow*> movable, order;
  for (const SamplerStageRow& row : rows) {
    if (row.movable) movable.push_back(&row);
  }
  const auto first = std::find_if(rows.begin(), rows.end(), [](const auto& row) { return row.movable; });
  for (auto row = rows.begin(); row != first; ++row) order.push_back(&*row);
  for (const std::string& name : samplers) {
    const auto named = std::find_if(movable.begin(), movable.end(), [&](const auto* row) { return row->name == name; });
    if (named == movable.end()) {
      std::vector<std::string_view> names;
      for (const auto* row : movable) names.push_back(row->name);
      throw Error(ErrorKind::kUsage, fmt::format("there is no sampler '{}'", name), {},
                  fmt::format("the samplers are {}", fmt::join(names, ", ")));
    }
    if (std::find(order.begin(), order.end(), *named) != order.end())
      throw Error(ErrorKind::kUsage, fmt::format("the sampler '{}' is named twice", name));
    order.push_back(*named);
  }
  if (samplers.empty()) order.insert(order.end(), movable.begin(), movable.end());
  for (auto row = first; row != rows.end(); ++row) {
    if (!row->movable) order.push_back(&*row);
  }
  return order;
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, const SamplerModel& model)
    : options_(std::make_unique<const SamplingOptions>(options)), vocabulary_(model.vocabulary), state_(options.seed) {
  for (const SamplerStageRow& row : sampler_stages()) row.check(*options_, model);
  const auto order = ordered(options.samplers);
  greedy_ = options.temperature == 0 &&
            std::any_of(order.begin(), order.end(), [](const auto* row) { return row->name == "temperature"; });
  for (const SamplerStageRow* row : order) {
    const bool wanted = row->kind == Kind::kLogits || (!greedy_ && (row->kind == Kind::kDraw || options.mirostat == 0));
    if (wanted && row->on(*options_)) stages_.push_back(row->make(*options_, model));
  }
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> history, const TokenSet* allowed) {
  candidates_.reset(logits.first(std::min(logits.size(), static_cast<size_t>(vocabulary_))));
  state_.allowed = allowed;
  for (const auto& stage : stages_) stage->apply(candidates_, history, state_);
  const Candidate chosen = candidates_.likeliest();
  if (chosen.logit == -INFINITY) return kNoToken;
  for (const auto& stage : stages_) stage->chosen(chosen.token, state_);
  return chosen.token;
}

}  // namespace fieldprint
