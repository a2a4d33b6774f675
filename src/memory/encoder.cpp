#include "memory/encoder.h"

#include <algorithm>
#include <cmath>

#include "fieldprint/error.h"

namespace fieldprint::memory {

#define ENCODER(name, factory) std::unique_ptr<Encoder> factory(const std::shared_ptr<const Model>& model);
#include "memory/encoders.def"
#undef ENCODER

namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Encoder> (*make)(const std::shared_ptr<const Model>&);
};
constexpr Entry kEncoders[] = {
#define ENCODER(name, factory) {name, factory},
#include "memory/encoders.def"
#undef ENCODER
};

constexpr float kScale = 512;

}  // namespace

std::vector<std::string> encoder_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEncoders) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Encoder> make_encoder(std::string_view name, const std::shared_ptr<const Model>& model) {
  const auto* found = std::ranges::find(kEncoders, name, &Entry::name);
  if (found == std::end(kEncoders)) {
    std::string all;
    for (const Entry& entry : kEncoders) all += (all.empty() ? "" : ", ") + std::string(entry.name);
    throw Error(ErrorKind::kUsage, "there is no encoder " + std::string(name), {}, "one of " + all);
  }
  return found->make(model);
}

Codes quantize_embedding(std::span<const float> vector) {
  Codes codes(vector.size());
  for (size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) throw Error(ErrorKind::kBadInput, "an embedding has numbers that are not finite");
    codes[i] = static_cast<int8_t>(std::clamp(std::nearbyint(vector[i] * kScale), -127.0f, 127.0f));
  }
  return codes;
}

ledger::Digest codes_digest(std::span<const int8_t> codes) {
  return ledger::tagged_digest("embedding", std::as_bytes(codes));
}

int32_t dot(std::span<const int8_t> a, std::span<const int8_t> b) {
  int32_t sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += static_cast<int32_t>(a[i]) * b[i];
  return sum;
}

double cosine_of(std::span<const int8_t> a, std::span<const int8_t> b) {
  const double lengths = std::sqrt(static_cast<double>(dot(a, a))) * std::sqrt(static_cast<double>(dot(b, b)));
  return lengths == 0 ? 0 : dot(a, b) / lengths;
}

}  // namespace fieldprint::memory
