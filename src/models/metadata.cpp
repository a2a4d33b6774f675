#include "models/metadata.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint {

Metadata::Metadata(const GgufFile& file)
    : file_(file), prefix_(std::string(file.string("general.architecture")) + ".") {}

void Metadata::refuse(const std::string& what) const { throw Error(ErrorKind::kBadFile, what, file_.path()); }
void Metadata::unsupported(const std::string& what, const std::string& hint) const {
  throw Error(ErrorKind::kUnsupported, what, file_.path(), hint);
}

const GgufArray* Metadata::array(std::string_view key) const {
  const GgufValue* value = file_.find(name(key));
  return value == nullptr ? nullptr : std::get_if<GgufArray>(&value->value);
}

const GgufArray& Metadata::layer_array(std::string_view key, const GgufArray& array, int layers) const {
  if (array.count < static_cast<uint64_t>(layers))
    refuse(fmt::format("{} has {} entries, too few for the layers", name(key), array.count));
  return array;
}

int Metadata::integer(std::string_view key, int64_t least, int64_t most, std::optional<int64_t> fallback) const {
  if (!has(key) && fallback) return static_cast<int>(*fallback);
  int64_t value = 0;
  if (const GgufArray* all = array(key); all != nullptr && all->count > 0) {
    value = all->integer(0);
    for (uint64_t i = 1; i < all->count; ++i) {
      if (all->integer(i) != value)
        unsupported(fmt::format("{} differs from layer to layer, which is not supported", name(key)));
    }
  } else {
    value = file_.integer(name(key));
  }
  if (value < least || value > most) refuse(fmt::format("{} is {}, expected {} to {}", name(key), value, least, most));
  return static_cast<int>(value);
}

double Metadata::number(std::string_view key, double least, double most, std::optional<double> fallback) const {
  if (!has(key) && fallback) return *fallback;
  double value = 0;
  if (const GgufArray* all = array(key); all != nullptr && all->count > 0) {
    value = all->number(0);
    for (uint64_t i = 1; i < all->count; ++i) {
      if (all->number(i) != value)
        unsupported(fmt::format("{} differs from layer to layer, which is not supported", name(key)));
    }
  } else {
    value = file_.number(name(key));
  }
  if (!(value >= least && value <= most))  // NaN is neither
    refuse(fmt::format("{} is {}, expected {} to {}", name(key), value, least, most));
  return value;
}

std::string_view Metadata::string(std::string_view key, std::string_view fallback) const {
  return file_.string(name(key), fallback);
}

int Metadata::choice(std::string_view key, std::span<const std::string_view> names, std::optional<int> fallback) const {
  if (!has(key) && fallback) return *fallback;
  const std::string_view value = file_.string(name(key));
  const auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end())
    refuse(fmt::format("{} is '{}', expected one of {}", name(key), value, fmt::join(names, ", ")));
  return static_cast<int>(found - names.begin());
}

std::vector<int> Metadata::integers(std::string_view key, int layers, int64_t least, int64_t most,
                                    std::optional<int64_t> fallback) const {
  const GgufArray* all = array(key);
  if (all == nullptr) return std::vector<int>(static_cast<size_t>(layers), integer(key, least, most, fallback));
  layer_array(key, *all, layers);
  std::vector<int> values;
  for (int i = 0; i < layers; ++i) {
    const int64_t value = all->integer(static_cast<uint64_t>(i));
    if (value < least || value > most)
      refuse(fmt::format("{} is {} for layer {}, expected {} to {}", name(key), value, i, least, most));
    values.push_back(static_cast<int>(value));
  }
  return values;
}

std::vector<std::string_view> Metadata::strings(std::string_view key, int layers, std::string_view fallback) const {
  const GgufArray* all = array(key);
  if (all == nullptr) return std::vector<std::string_view>(static_cast<size_t>(layers), string(key, fallback));
  if (all->kind != GgufKind::kString) refuse(fmt::format("{} should hold names", name(key)));
  layer_array(key, *all, layers);
  return {all->strings.begin(), all->strings.begin() + layers};
}

void MetadataWriter::set(std::string_view key, int value) const {
  writer_.set(name(key), static_cast<uint32_t>(value));
}
void MetadataWriter::set(std::string_view key, float value) const { writer_.set(name(key), value); }
void MetadataWriter::set(std::string_view key, std::string_view value) const { writer_.set(name(key), value); }
void MetadataWriter::set(std::string_view key, std::vector<std::string> values) const {
  writer_.set(name(key), std::move(values));
}
void MetadataWriter::set(std::string_view key, const std::vector<bool>& values) const {
  writer_.set(name(key), values);
}
void MetadataWriter::set(std::string_view key, const std::vector<int>& layers) const {
  const bool alike = std::all_of(layers.begin(), layers.end(), [&](int value) { return value == layers.front(); });
  if (alike && !layers.empty()) set(key, layers.front());
  else writer_.set(name(key), std::vector<int32_t>(layers.begin(), layers.end()));
}

}  // namespace fieldprint
