#include "engine/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "ops/observer.h"

namespace fieldprint {
namespace {

// Remembers the first product whose inputs are not finite.
class FirstNotFinite final : public OpsObserver {
 public:
  void inputs(const Weight& weight, std::span<const float> x) override {
    if (before_.empty() && !all_finite(x)) before_ = weight.name;
  }
  const std::string& before() const { return before_; }  // the weight's name; "" where there is none

 private:
  std::string before_;
};

// "blk.3." of "blk.3.attn_q.weight"; "" for a tensor that is of no layer.
std::string layer_prefix(std::string_view name) {
  if (!name.starts_with("blk.")) return {};
  return std::string(name.substr(0, name.find('.', 4) + 1));
}

bool holds_finite_values(const GgufTensor& tensor) {
  std::vector<float> row(tensor.shape[0]);
  for (uint64_t r = 0; r < tensor.elements() / tensor.shape[0]; ++r) {
    tensor.type->decode(tensor.data + r * tensor.row_bytes(), row.data(), static_cast<int64_t>(row.size()));
    if (!all_finite(row)) return false;
  }
  return true;
}

// The first tensor of the layer that holds such a value, "" where none does; before the first layer and behind the last
// those of no layer count too.
std::string damaged_tensor(const GgufFile& file, const std::string& prefix) {
  for (const GgufTensor& tensor : file.tensors()) {
    const std::string of = layer_prefix(tensor.name);
    const bool near = of == prefix || (of.empty() && (prefix == "blk.0." || prefix.empty()));
    if (near && !holds_finite_values(tensor)) return std::string(tensor.name);
  }
  return {};
}

}  // namespace

bool all_finite(std::span<const float> values) {
  uint32_t bad = 0;
  for (const float v : values) bad |= (std::bit_cast<uint32_t>(v) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
  return bad == 0;
}

Error not_finite_error(std::shared_ptr<const LoadedModel> model, const SessionOptions& options,
                       std::span<const TokenId> tokens) {
  SessionOptions again = options;
  again.profile = nullptr;
  FirstNotFinite observer;
  const auto stepper = std::make_shared<Stepper>(model, again);
  stepper->observe(&observer);
  Sequence sequence = stepper->begin();
  const auto chunk = static_cast<size_t>(stepper->chunk());
  for (size_t i = 0; i < tokens.size() && observer.before().empty(); i += chunk)
    stepper->step(sequence, tokens.subspan(i, std::min(chunk, tokens.size() - i)), LogitRows::kLast);

  const std::string prefix = layer_prefix(observer.before());
  const std::string where = prefix.empty() ? "behind the last layer"
                                           : fmt::format("in layer {}, in what enters {}",
                                                         prefix.substr(4, prefix.size() - 5), observer.before());
  const std::string damaged = damaged_tensor(model->file(), prefix);
  return Error(ErrorKind::kBadFile, fmt::format("the logits are not finite; it begins {}", where), model->info().path,
               damaged.empty()
                   ? "every weight there is finite, so a sum grew too large: are the file's hyperparameters right?"
                   : damaged + " holds NaN or infinite values: the file is damaged, or was converted badly");
}

}  // namespace fieldprint
