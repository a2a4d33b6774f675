#include "kv/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr std::pair<std::string_view, KvType> kNames[] = {
    {"f16", KvType::kF16}, {"bf16", KvType::kBF16}, {"q8_0", KvType::kQ8_0}, {"f32", KvType::kF32}};

}  // namespace

KvType kv_type(std::string_view name) {
  for (const auto& [known, type] : kNames) {
    if (known == name) return type;
  }
  throw Error(ErrorKind::kUsage, fmt::format("keys and values cannot be kept as '{}'", name), "--kv-type",
              "one of f16, bf16, q8_0, f32");
}

std::string_view kv_type_name(KvType type) { return kNames[static_cast<size_t>(type)].first; }

KvLayout::KvLayout(std::vector<KvLayerShape> layers, int page_size, KvType type)
    : layers_(std::move(layers)), page_size_(page_size), type_(type) {
  assert(page_size >= 1);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (type == KvType::kQ8_0 && layers_[i].head_dim % kKvBlock != 0) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("keys and values in q8_0 want heads of a multiple of {} dimensions, layer {} has {}",
                              kKvBlock, i, layers_[i].head_dim),
                  "--kv-type", "f16, bf16 or f32");
    }
    start_.push_back(page_bytes_);
    page_bytes_ += layers_[i].kv_heads * pair_bytes(static_cast<int>(i)) * page_size;
  }
}

KvLayout KvLayout::of_window(int window) const {
  std::vector<KvLayerShape> layers = layers_;
  for (KvLayerShape& layer : layers) {
    if (layer.window != window) layer.kv_heads = 0;
  }
  return KvLayout(std::move(layers), page_size_, type_);
}

std::vector<int> KvLayout::windows() const {
  std::vector<int> all;
  for (const KvLayerShape& layer : layers_) {
    if (layer.window > 0 && std::find(all.begin(), all.end(), layer.window) == all.end()) all.push_back(layer.window);
  }
  return all;
}

int KvLayout::state_replay() const {
  int replay = 0;
  for (const KvLayerShape& layer : layers_) {
    if (layer.state_floats == 0) continue;
    if (layer.state_replay == kNoReplay) return kNoReplay;
    replay += layer.state_replay;
  }
  return replay;
}

int64_t KvLayout::head_bytes(int layer) const {
  const int64_t d = this->layer(layer).head_dim;
  const int64_t scales = type_ == KvType::kQ8_0 ? d / kKvBlock * static_cast<int64_t>(sizeof(uint16_t)) : 0;
  return d * number_bytes() + scales;
}

}  // namespace fieldprint
