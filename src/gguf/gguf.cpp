#include "gguf/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "fieldprint/error.h"
#include "gguf/parse.h"
#include "gguf/split.h"

namespace fieldprint {
namespace {

template <typename T>
T load(const std::byte* data, uint64_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

std::string_view gguf_kind_name(GgufKind kind) {
  constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<size_t>(kind)];
}

int64_t GgufArray::integer(uint64_t i) const {
  assert(i < count);
  switch (kind) {
    case GgufKind::kU8:
    case GgufKind::kBool:
      return load<uint8_t>(data, i);
    case GgufKind::kI8:
      return load<int8_t>(data, i);
    case GgufKind::kU16:
      return load<uint16_t>(data, i);
    case GgufKind::kI16:
      return load<int16_t>(data, i);
    case GgufKind::kU32:
      return load<uint32_t>(data, i);
    case GgufKind::kI32:
      return load<int32_t>(data, i);
    case GgufKind::kI64:
      return load<int64_t>(data, i);
    case GgufKind::kU64: {
      const auto value = load<uint64_t>(data, i);
      if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(value);
      throw Error(ErrorKind::kBadFile, fmt::format("an array of the metadata holds {}, which is out of range", value));
    }
    default:
      break;
  }
  throw Error(ErrorKind::kBadFile,
              fmt::format("an array of the metadata is of {}, not of integers", gguf_kind_name(kind)));
}

double GgufArray::number(uint64_t i) const {
  assert(i < count);
  if (kind == GgufKind::kF32) return load<float>(data, i);
  if (kind == GgufKind::kF64) return load<double>(data, i);
  if (kind == GgufKind::kU64) return static_cast<double>(load<uint64_t>(data, i));
  if (kind == GgufKind::kString) {
    throw Error(ErrorKind::kBadFile, "an array of the metadata is of strings, not of numbers");
  }
  return static_cast<double>(integer(i));
}

struct GgufFile::State {
  std::string path;
  std::vector<std::unique_ptr<MappedFile>> maps;  // none where the bytes are somebody else's
  std::vector<std::span<const std::byte>> files;  // the bytes of each
  GgufContents contents;

  const GgufValue& value(std::string_view key) const {
    const auto found = contents.keys.find(key);
    if (found == contents.keys.end()) {
      throw Error(ErrorKind::kBadFile, fmt::format("the metadata lacks {}", gguf_quoted(key)), path);
    }
    return contents.metadata[found->second].second;
  }

  // The value as T, or an error that says what it is instead of `wanted`.
  template <typename T>
  const T& value_as(std::string_view key, const char* wanted) const {
    const GgufValue& found = value(key);
    if (const T* typed = std::get_if<T>(&found.value)) return *typed;
    throw Error(
        ErrorKind::kBadFile,
        fmt::format("metadata key {} is of kind {}, not {}", gguf_quoted(key), gguf_kind_name(found.kind), wanted),
        path);
  }
};

GgufFile::GgufFile() : state_(std::make_unique<State>()) {}
GgufFile::~GgufFile() = default;

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path) {
  std::shared_ptr<GgufFile> file(new GgufFile);
  State& state = *file->state_;
  state.path = path;
  state.maps.push_back(std::make_unique<MappedFile>(path));
  state.contents = parse_gguf(state.maps[0]->bytes(), path);
  for (auto& other : add_split_files(path, state.contents)) state.maps.push_back(std::move(other));
  for (const auto& map : state.maps) state.files.push_back(map->bytes());
  return file;
}

std::shared_ptr<const GgufFile> GgufFile::parse(std::span<const std::byte> bytes, std::string name) {
  std::shared_ptr<GgufFile> file(new GgufFile);
  file->state_->path = std::move(name);
  file->state_->files = {bytes};
  file->state_->contents = parse_gguf(bytes, file->state_->path);
  if (const GgufSplit& split = file->state_->contents.split; split.count > 1) {
    throw Error(ErrorKind::kUnsupported, fmt::format("is file {} of {} of a model", split.number + 1, split.count),
                file->path());
  }
  return file;
}

const std::string& GgufFile::path() const { return state_->path; }
uint32_t GgufFile::version() const { return state_->contents.version; }
uint64_t GgufFile::size() const {
  uint64_t bytes = 0;
  for (const auto& file : state_->files) bytes += file.size();
  return bytes;
}
size_t GgufFile::files() const { return state_->files.size(); }
const std::vector<std::pair<std::string_view, GgufValue>>& GgufFile::metadata() const {
  return state_->contents.metadata;
}
const std::vector<GgufTensor>& GgufFile::tensors() const { return state_->contents.tensors; }

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = state_->contents.keys.find(key);
  return found == state_->contents.keys.end() ? nullptr : &state_->contents.metadata[found->second].second;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = state_->contents.names.find(name);
  return found == state_->contents.names.end() ? nullptr : &state_->contents.tensors[found->second];
}

int64_t GgufFile::integer(std::string_view key) const {
  const GgufValue& value = state_->value(key);
  if (const auto* number = std::get_if<uint64_t>(&value.value)) {
    if (*number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(*number);
    throw Error(ErrorKind::kBadFile,
                fmt::format("metadata key {} is {}, which is out of range", gguf_quoted(key), *number), path());
  }
  return state_->value_as<int64_t>(key, "an integer");
}

double GgufFile::number(std::string_view key) const {
  const GgufValue& value = state_->value(key);
  if (const auto* number = std::get_if<uint64_t>(&value.value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<int64_t>(&value.value)) return static_cast<double>(*number);
  return state_->value_as<double>(key, "a number");
}

std::string_view GgufFile::string(std::string_view key) const {
  return state_->value_as<std::string_view>(key, "a string");
}

int64_t GgufFile::integer(std::string_view key, int64_t fallback) const {
  return find(key) == nullptr ? fallback : integer(key);
}
double GgufFile::number(std::string_view key, double fallback) const {
  return find(key) == nullptr ? fallback : number(key);
}
bool GgufFile::boolean(std::string_view key, bool fallback) const {
  return find(key) == nullptr ? fallback : state_->value_as<bool>(key, "a bool");
}
std::string_view GgufFile::string(std::string_view key, std::string_view fallback) const {
  return find(key) == nullptr ? fallback : string(key);
}
const GgufArray* GgufFile::array(std::string_view key) const {
  return find(key) == nullptr ? nullptr : &state_->value_as<GgufArray>(key, "an array");
}

std::string GgufFile::fingerprint() const {
  constexpr size_t kSample = 4096;
  Sha256 hash;
  for (const auto& file : state_->files) {
    const std::byte *begin = file.data(), *end = begin + file.size(), *data = end;
    for (const GgufTensor& tensor : tensors()) {
      if (tensor.data >= begin && tensor.data < end) data = std::min(data, tensor.data);
    }
    hash.update({begin, data});
  }
  for (const GgufTensor& tensor : tensors()) {
    const std::span all(tensor.data, tensor.bytes);
    hash.update(all.first(std::min(all.size(), kSample)));
    hash.update(all.last(std::min(all.size(), kSample)));
  }
  return hash.hex();
}

const GgufTensor& GgufFile::tensor(std::string_view name) const {
  if (const GgufTensor* tensor = find_tensor(name)) return *tensor;
  throw Error(ErrorKind::kBadFile, fmt::format("there is no tensor {}", gguf_quoted(name)), path());
}

}  // namespace fieldprint
