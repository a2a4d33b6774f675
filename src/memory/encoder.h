// Encoders make a text a vector, so that texts of like meaning lie close together; the vector is kept as INT8 codes,
// whose products are exact on any machine.
//
// An encoder belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/model.h"
#include "ledger/hash.h"

namespace fieldprint::memory {

using Codes = std::vector<int8_t>;

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual std::string name() const = 0;  // with version, and a model's digest: vectors of one name can be compared
  virtual int dimensions() const = 0;
  virtual double least_cosine() const = 0;  // of two texts that have to do with each other; below is noise
  virtual std::vector<float> encode(std::string_view text) = 0;  // [dimensions], of length 1 (or 0 for nothing)
};

// By its name in encoders.def. Error kUsage for a name that there is not, or where a model is needed and none is given.
std::unique_ptr<Encoder> make_encoder(std::string_view name, const std::shared_ptr<const Model>& model);
std::vector<std::string> encoder_names();

// round(x * 512), to nearest even, clamped to +-127: a power of two, so that scaling is exact; it fits vectors of
// length 1 with 64 and more dimensions. Error kBadInput for what is not finite.
Codes quantize_embedding(std::span<const float> vector);
ledger::Digest codes_digest(std::span<const int8_t> codes);  // digest("embedding", codes)

int32_t dot(std::span<const int8_t> a, std::span<const int8_t> b);
double cosine_of(std::span<const int8_t> a, std::span<const int8_t> b);  // 0 where one is all zeros

}  // namespace fieldprint::memory
