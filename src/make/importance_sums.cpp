#include "make/importance_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/mapped_file.h"
#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "gguf/parse.h"

namespace fieldprint {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr float kOldChunk = 512;

[[noreturn]] void refuse(const std::string& path, std::string_view tensor, const std::string& why) {
  throw Error(ErrorKind::kBadFile, tensor.empty() ? why : fmt::format("{}: {}", gguf_quoted(tensor), why), path);
}

void check_values(const std::string& path, std::string_view tensor, const std::vector<float>& values) {
  for (const float value : values) {
    if (!std::isfinite(value) || value < 0.0f) refuse(path, tensor, "a sum or a count is no number from 0 up");
  }
}

std::vector<float> floats(const std::string& path, const GgufTensor& tensor) {
  if (tensor.type->name != "F32") refuse(path, tensor.name, "its values are not F32");
  std::vector<float> values(tensor.elements());
  std::memcpy(values.data(), tensor.data, tensor.bytes);
  check_values(path, tensor.name, values);
  return values;
}

uint32_t count_of(const GgufFile& file, std::string_view key) {
  return static_cast<uint32_t>(std::clamp<int64_t>(file.integer(key, 0), 0, UINT32_MAX));
}

ImportanceSums read_gguf(const std::string& path) {
  const auto file = GgufFile::open(path);
  if (file->string("general.type", "") != "imatrix") {
    refuse(path, {}, "is no importance matrix: its general.type is not imatrix");
  }
  ImportanceSums result;
  if (const GgufArray* datasets = file->array("imatrix.datasets"); datasets != nullptr) {
    result.datasets.assign(datasets->strings.begin(), datasets->strings.end());
  }
  result.chunks = count_of(*file, "imatrix.chunk_count");
  result.chunk_size = count_of(*file, "imatrix.chunk_size");
  result.job = file->string("fieldprint.imatrix.job", "");
  result.job_chunks = count_of(*file, "fieldprint.imatrix.chunks");
  for (const GgufTensor& tensor : file->tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name(tensor.name.substr(0, tensor.name.size() - kSums.size()));
    ImportanceSums::Tensor& entry = result.tensors[name];
    entry.columns = tensor.shape[0];
    entry.sums = floats(path, tensor);
    entry.counts = floats(path, file->tensor(name + std::string(kCounts)));
    if (entry.counts.size() * entry.columns != entry.sums.size()) {
      refuse(path, name, "counts and sums do not belong together");
    }
  }
  return result;
}

// llama.cpp's older format: counted entries of a name, a number of chunks, and the means times that number.
class OldReader {
 public:
  OldReader(const std::string& path, std::span<const std::byte> bytes) : path_(path), rest_(bytes) {}

  ImportanceSums read() {
    ImportanceSums result;
    const int32_t entries = number();
    if (entries < 1 || entries > 1 << 20)
      refuse(path_, {}, "is no importance matrix: neither GGUF nor the older format");
    for (int32_t i = 0; i < entries; ++i) {
      const std::string name = text();
      const int32_t chunks = number(), values = number();
      if (name.empty() || chunks < 1 || values < 1) refuse(path_, name, "an entry makes no sense");
      const auto bytes = take(static_cast<size_t>(values) * sizeof(float));
      ImportanceSums::Tensor& entry = result.tensors[name];
      entry.columns = static_cast<uint64_t>(values);  // of all experts together: the format does not tell them apart
      entry.sums.resize(static_cast<size_t>(values));
      std::memcpy(entry.sums.data(), bytes.data(), bytes.size());
      for (float& sum : entry.sums) sum *= kOldChunk;
      check_values(path_, name, entry.sums);
      entry.counts.assign(1, static_cast<float>(chunks) * kOldChunk);
    }
    if (!rest_.empty()) {  // written since 2024
      result.chunks = static_cast<uint32_t>(std::max(number(), 0));
      result.datasets.push_back(text());
    }
    result.chunk_size = static_cast<uint32_t>(kOldChunk);
    return result;
  }

 private:
  std::span<const std::byte> take(size_t bytes) {
    if (bytes > rest_.size()) refuse(path_, {}, "is no importance matrix, or cut short");
    const auto taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }
  int32_t number() {
    int32_t value = 0;
    std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
    return value;
  }
  std::string text() {
    const int32_t length = number();
    if (length < 0) refuse(path_, {}, "is no importance matrix: a name of negative length");
    const auto bytes = take(static_cast<size_t>(length));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  const std::string& path_;
  std::span<const std::byte> rest_;
};

}  // namespace

ImportanceSums ImportanceSums::read(const std::string& path) {
  ImportanceSums result;
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0) result = read_gguf(path);
  else result = OldReader(path, bytes).read();
  if (result.tensors.empty()) refuse(path, {}, "holds no sums of squares (NAME.in_sum2)");
  return result;
}

void ImportanceSums::write(const std::string& path) const {
  GgufWriter writer;
  writer.set("general.type", "imatrix");
  writer.set("imatrix.datasets", datasets);
  writer.set("imatrix.chunk_count", chunks);
  writer.set("imatrix.chunk_size", chunk_size);
  if (!job.empty()) {
    writer.set("fieldprint.imatrix.job", job);
    writer.set("fieldprint.imatrix.chunks", job_chunks);
  }
  const QuantType& f32 = *find_quant_type("F32");
  for (const auto& [name, tensor] : tensors) {
    writer.add_tensor(name + std::string(kSums), f32, {tensor.columns, tensor.experts()},
                      std::as_bytes(std::span(tensor.sums)));
    writer.add_tensor(name + std::string(kCounts), f32, {1, tensor.experts()}, std::as_bytes(std::span(tensor.counts)));
  }
  writer.write(path);
}

void ImportanceSums::add(const ImportanceSums& other, double weight, const std::string& from) {
  for (const auto& [name, theirs] : other.tensors) {
    Tensor& ours = tensors[name];
    if (ours.counts.empty()) {
      ours.columns = theirs.columns;
      ours.sums.resize(theirs.sums.size());
      ours.counts.resize(theirs.counts.size());
    }
    if (ours.columns != theirs.columns || ours.experts() != theirs.experts()) {
      throw Error(
          ErrorKind::kBadInput,
          fmt::format("{} has {} columns and {} experts, not {} and {}: another model's, or an older .dat file, "
                      "which does not tell experts apart",
                      name, theirs.columns, theirs.experts(), ours.columns, ours.experts()),
          from);
    }
    const auto add_all = [weight](std::vector<float>& to, const std::vector<float>& values) {
      for (size_t i = 0; i < to.size(); ++i) {
        to[i] = static_cast<float>(static_cast<double>(to[i]) + weight * static_cast<double>(values[i]));
      }
    };
    add_all(ours.sums, theirs.sums);
    add_all(ours.counts, theirs.counts);
  }
  for (const std::string& dataset : other.datasets) {
    if (std::find(datasets.begin(), datasets.end(), dataset) == datasets.end()) datasets.push_back(dataset);
  }
  chunks += other.chunks;
  if (chunk_size == 0) chunk_size = other.chunk_size;
}

}  // namespace fieldprint
