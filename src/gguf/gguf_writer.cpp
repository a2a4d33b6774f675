#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/split_name.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "gguf/parse.h"

namespace fieldprint {
namespace {

constexpr size_t kLongestTensorName = 63;  // what other readers take

using Bytes = std::vector<std::byte>;

// Not insert(): GCC 12 warns of an overflow there that is none.
void put(Bytes& out, std::span<const std::byte> bytes) {
  const size_t end = out.size();
  out.resize(end + bytes.size());
  std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<ptrdiff_t>(end));
}

template <typename T>
void put_number(Bytes& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  put(out, std::as_bytes(std::span(&value, 1)));
}

void put_kind(Bytes& out, GgufKind kind) { put_number(out, static_cast<uint32_t>(kind)); }

void put_string(Bytes& out, std::string_view text) {
  put_number(out, uint64_t{text.size()});
  put(out, std::as_bytes(std::span(text)));
}

template <typename T>
Bytes number_value(GgufKind kind, T value) {
  Bytes out;
  put_kind(out, kind);
  put_number(out, value);
  return out;
}

template <typename T>
Bytes number_array(GgufKind kind, const std::vector<T>& values) {
  Bytes out;
  put_kind(out, GgufKind::kArray);
  put_kind(out, kind);
  put_number(out, uint64_t{values.size()});
  put(out, std::as_bytes(std::span(values)));
  return out;
}

template <typename Strings>
Bytes string_array(const Strings& values) {
  Bytes out;
  put_kind(out, GgufKind::kArray);
  put_kind(out, GgufKind::kString);
  put_number(out, uint64_t{values.size()});
  for (std::string_view text : values) put_string(out, text);
  return out;
}

// The number in an encoded general.alignment.
uint64_t alignment_of(std::span<const std::byte> value) {
  uint32_t parts[2] = {};
  if (value.size() == sizeof(parts)) std::memcpy(parts, value.data(), sizeof(parts));
  if (parts[0] != static_cast<uint32_t>(GgufKind::kU32) || !std::has_single_bit(parts[1]) || parts[1] < 8) {
    throw Error(ErrorKind::kUsage, "general.alignment must be a u32, a power of two of at least 8");
  }
  return parts[1];
}

// A value as it stood in the file that it comes from.
Bytes encoded(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value.value)) {
    if (array->kind == GgufKind::kString) return string_array(array->strings);
    Bytes out;
    put_kind(out, GgufKind::kArray);
    put_kind(out, array->kind);
    put_number(out, array->count);
    put(out, {array->data, static_cast<size_t>(array->count * gguf_kind_bytes(array->kind))});
    return out;
  }
  Bytes out;
  put_kind(out, value.kind);
  if (const auto* text = std::get_if<std::string_view>(&value.value)) put_string(out, *text);
  if (const auto* truth = std::get_if<bool>(&value.value)) put_number(out, static_cast<uint8_t>(*truth));
  if (const auto* number = std::get_if<double>(&value.value)) {
    if (value.kind == GgufKind::kF32) put_number(out, static_cast<float>(*number));
    else put_number(out, *number);
  }
  // Little endian: the low bytes of a wide integer are the narrow one.
  const auto narrow = [&](const auto& number) {
    put(out, std::as_bytes(std::span(&number, 1)).first(gguf_kind_bytes(value.kind)));
  };
  if (const auto* number = std::get_if<uint64_t>(&value.value)) narrow(*number);
  if (const auto* number = std::get_if<int64_t>(&value.value)) narrow(*number);
  return out;
}

}  // namespace

struct GgufWriter::State {
  struct Entry {
    std::string key;
    Bytes value;  // kind and value, as they stand in the file
  };
  struct Tensor {
    std::string name;
    const QuantType* type;
    std::vector<uint64_t> shape;
    uint64_t bytes;
    std::function<void(const GgufSink&)> produce;
  };
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;
  uint64_t alignment = 32;

  void set(std::string key, Bytes value) {
    if (key.empty() || key.size() > 65535) throw Error(ErrorKind::kUsage, "a metadata key has 1 to 65535 bytes");
    if (key == "general.alignment") alignment = alignment_of(value);
    const auto old = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
    if (old != entries.end()) old->value = std::move(value);
    else entries.push_back({std::move(key), std::move(value)});
  }
  void add(std::string name, const QuantType& type, std::vector<uint64_t> shape, std::optional<uint64_t> bytes,
           std::function<void(const GgufSink&)> produce);
  uint64_t padding(uint64_t size) const { return (alignment - size % alignment) % alignment; }

  // A file with these entries and tensors.
  Bytes header(std::span<const Entry> keys, std::span<const Tensor> part) const;
  // Calls sink(bytes) for each piece of it in turn.
  template <typename Sink>
  void emit(std::span<const Entry> keys, std::span<const Tensor> part, Sink sink) const {
    const Bytes zeros(alignment);
    sink(header(keys, part));
    for (const Tensor& tensor : part) {
      [[maybe_unused]] uint64_t left = tensor.bytes;
      tensor.produce([&](std::span<const std::byte> piece) {
        assert(piece.size() <= left);
        left -= piece.size();
        sink(piece);
      });
      assert(left == 0);
      sink(std::span(zeros).first(padding(tensor.bytes)));
    }
  }
};

// All before the tensors' data, padding included.
Bytes GgufWriter::State::header(std::span<const Entry> keys, std::span<const Tensor> part) const {
  Bytes out;
  put(out, std::as_bytes(std::span(std::string_view("GGUF"))));
  put_number(out, uint32_t{3});
  put_number(out, uint64_t{part.size()});
  put_number(out, uint64_t{keys.size()});
  for (const Entry& entry : keys) {
    put_string(out, entry.key);
    put(out, entry.value);
  }
  uint64_t offset = 0;
  for (const Tensor& tensor : part) {
    put_string(out, tensor.name);
    put_number(out, static_cast<uint32_t>(tensor.shape.size()));
    for (uint64_t length : tensor.shape) put_number(out, length);
    put_number(out, tensor.type->ggml_id);
    put_number(out, offset);
    offset += tensor.bytes + padding(tensor.bytes);
  }
  out.resize(out.size() + padding(out.size()));
  return out;
}

GgufWriter::GgufWriter() : state_(std::make_unique<State>()) {}
GgufWriter::~GgufWriter() = default;

void GgufWriter::set(std::string key, uint32_t value) {
  state_->set(std::move(key), number_value(GgufKind::kU32, value));
}
void GgufWriter::set(std::string key, uint64_t value) {
  state_->set(std::move(key), number_value(GgufKind::kU64, value));
}
void GgufWriter::set(std::string key, int32_t value) {
  state_->set(std::move(key), number_value(GgufKind::kI32, value));
}
void GgufWriter::set(std::string key, float value) { state_->set(std::move(key), number_value(GgufKind::kF32, value)); }
void GgufWriter::set(std::string key, bool value) {
  state_->set(std::move(key), number_value(GgufKind::kBool, static_cast<uint8_t>(value)));
}
void GgufWriter::set(std::string key, std::string_view value) {
  Bytes out;
  put_kind(out, GgufKind::kString);
  put_string(out, value);
  state_->set(std::move(key), std::move(out));
}
void GgufWriter::set(std::string key, std::vector<std::string> values) {
  state_->set(std::move(key), string_array(values));
}
void GgufWriter::set(std::string key, std::vector<int32_t> values) {
  state_->set(std::move(key), number_array(GgufKind::kI32, values));
}
void GgufWriter::set(std::string key, std::vector<float> values) {
  state_->set(std::move(key), number_array(GgufKind::kF32, values));
}

void GgufWriter::set(std::string key, const std::vector<bool>& values) {
  state_->set(std::move(key), number_array(GgufKind::kBool, std::vector<uint8_t>(values.begin(), values.end())));
}

void GgufWriter::copy(std::string_view key, const GgufValue& value) { state_->set(std::string(key), encoded(value)); }

void GgufWriter::State::add(std::string name, const QuantType& type, std::vector<uint64_t> shape,
                            std::optional<uint64_t> bytes, std::function<void(const GgufSink&)> produce) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kUsage, fmt::format("tensor {} {}", gguf_quoted(name), what));
  };
  if (name.empty() || name.size() > kLongestTensorName) refuse("has a name of less than 1 or more than 63 bytes");
  for (const Tensor& other : tensors) {
    if (other.name == name) refuse("is added twice");
  }
  if (shape.empty() || shape.size() > 4) refuse("has less than 1 or more than 4 dimensions");
  const auto block = static_cast<uint64_t>(type.block_elements);
  if (shape[0] % block != 0) {
    refuse(fmt::format("has rows of {} values, no multiple of the {} in a block of {}", shape[0], block, type.name));
  }
  uint64_t expected = static_cast<uint64_t>(type.block_bytes);
  shape[0] /= block;
  for (const uint64_t length : shape) {
    if (length == 0 || __builtin_mul_overflow(expected, length, &expected)) expected = 0;
  }
  shape[0] *= block;
  if (bytes && *bytes != expected)
    refuse(fmt::format("has {} bytes of data, which is not what its shape and {} ask for", *bytes, type.name));
  if (expected == 0) refuse("has no values, or more than there are bytes");
  tensors.push_back({std::move(name), &type, std::move(shape), expected, std::move(produce)});
}

void GgufWriter::add_tensor(std::string name, const QuantType& type, std::vector<uint64_t> shape,
                            std::span<const std::byte> data) {
  state_->add(std::move(name), type, std::move(shape), data.size(), [data](const GgufSink& sink) { sink(data); });
}

void GgufWriter::add_tensor(std::string name, const QuantType& type, std::vector<uint64_t> shape,
                            std::function<void(const GgufSink&)> produce) {
  state_->add(std::move(name), type, std::move(shape), std::nullopt, std::move(produce));
}

void GgufWriter::write(const std::string& path) const {
  AtomicFile file(path);
  state_->emit(state_->entries, state_->tensors, [&](std::span<const std::byte> piece) { file.write(piece); });
  file.commit();
}

std::vector<std::string> GgufWriter::write_split(const std::string& path, uint64_t bytes) const {
  if (const auto name = parse_split_name(path)) {
    throw Error(ErrorKind::kUsage, "has the numbers of a split model's file already, and would get further ones", path,
                fmt::format("give {}.gguf", name->stem));
  }
  using Entry = State::Entry;
  const auto keys_of = [&](size_t number, size_t count) {
    std::vector<Entry> keys;
    for (const Entry& entry : state_->entries) {
      if (number == 0 || entry.key == "general.alignment") keys.push_back(entry);
    }
    keys.push_back({"split.no", number_value(GgufKind::kU16, static_cast<uint16_t>(number))});
    keys.push_back({"split.count", number_value(GgufKind::kU16, static_cast<uint16_t>(count))});
    keys.push_back({"split.tensors.count", number_value(GgufKind::kI32, static_cast<int32_t>(state_->tensors.size()))});
    return keys;
  };
  // Greedy: a tensor goes into the file before, unless that grew too large by it.
  const std::span<const State::Tensor> all(state_->tensors);
  std::vector<std::span<const State::Tensor>> parts = {all.first(0)};
  uint64_t data = 0, head = state_->header(keys_of(0, 1), {}).size();
  for (size_t i = 0; i < all.size(); ++i) {
    const uint64_t more = all[i].bytes + state_->padding(all[i].bytes);
    head += 8 + all[i].name.size() + 4 + 8 * all[i].shape.size() + 4 + 8;
    if (!parts.back().empty() && head + state_->padding(head) + data + more > bytes) {
      parts.push_back(all.subspan(i, 0));
      data = 0, head = state_->header(keys_of(1, 1), all.subspan(i, 1)).size();
    }
    parts.back() = {parts.back().data(), parts.back().size() + 1};
    data += more;
  }
  constexpr size_t kMost = 65535;
  if (parts.size() > kMost) {
    throw Error(ErrorKind::kUsage, fmt::format("the model would lie in {} files; {} are possible", parts.size(), kMost),
                path, "let each be larger");
  }

  const auto count = static_cast<uint32_t>(parts.size());
  const std::string stem = path.ends_with(".gguf") ? path.substr(0, path.size() - 5) : path;
  std::vector<std::string> names;
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (uint32_t i = 0; i < count; ++i) {
    names.push_back(split_name(stem, i + 1, count));
    files.push_back(std::make_unique<AtomicFile>(names.back()));
    state_->emit(keys_of(i, count), parts[i], [&](std::span<const std::byte> piece) { files.back()->write(piece); });
  }
  // Whoever finds the first file finds all of the model.
  std::error_code ignored;
  std::filesystem::remove(names.front(), ignored);
  while (!files.empty()) {
    files.back()->commit();
    files.pop_back();
  }
  return names;
}

std::vector<std::byte> GgufWriter::bytes() const {
  Bytes out;
  state_->emit(state_->entries, state_->tensors, [&](std::span<const std::byte> piece) { put(out, piece); });
  return out;
}

}  // namespace fieldprint
