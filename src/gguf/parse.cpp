#include "gguf/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr uint64_t kSmallestEntry = 8 + 1 + 4 + 1;           // key length, key, kind, value
constexpr uint64_t kSmallestTensor = 8 + 1 + 4 + 8 + 4 + 8;  // name length, name, dims, one dim, type, offset
constexpr uint64_t kLongestKey = 65535;                      // the format's own bound

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  GgufContents run() {
    header();
    for (uint64_t i = 0; i < entries_; ++i) entry(i);
    take_split();
    const uint64_t alignment = read_alignment();
    for (uint64_t i = 0; i < tensors_; ++i) tensor(i);
    place_tensors(alignment);
    return std::move(contents_);
  }

 private:
  [[noreturn]] void bad(std::string what, std::string hint = {}) const {
    throw Error(ErrorKind::kBadFile, std::move(what), path_, std::move(hint));
  }
  [[noreturn]] void unsupported(std::string what, std::string hint = {}) const {
    throw Error(ErrorKind::kUnsupported, std::move(what), path_, std::move(hint));
  }
  [[noreturn]] void cut_short() const {
    bad(fmt::format("is cut short or damaged: {} runs past the end of the file ({} bytes)", reading(), bytes_.size()),
        "fetch the file again");
  }

  // What is being read, for messages.
  std::string reading() const {
    return name_.empty() ? fmt::format("{} {}", part_, number_ + 1) : fmt::format("{} {}", part_, gguf_quoted(name_));
  }
  void begin(const char* part, uint64_t number) {
    part_ = part;
    number_ = number;
    name_ = {};
  }

  uint64_t left() const { return bytes_.size() - at_; }

  const std::byte* take(uint64_t count) {
    if (count > left()) cut_short();
    const std::byte* data = bytes_.data() + at_;
    at_ += count;
    return data;
  }
  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }
  std::string_view take_string() {
    const auto length = take<uint64_t>();
    return {reinterpret_cast<const char*>(take(length)), static_cast<size_t>(length)};
  }

  void header();
  void entry(uint64_t number);
  GgufValue value(GgufKind kind);
  GgufArray array();
  GgufKind take_kind();
  void take_split();
  uint64_t read_alignment() const;
  void tensor(uint64_t number);
  [[noreturn]] void unknown_type(uint32_t type) const;
  void place_tensors(uint64_t alignment);

  std::span<const std::byte> bytes_;
  const std::string& path_;
  size_t at_ = 0;

  const char* part_ = "the header";
  uint64_t number_ = 0;
  std::string_view name_;

  uint64_t entries_ = 0, tensors_ = 0;
  std::vector<uint64_t> offsets_;  // of the tensors, from the start of the data
  GgufContents contents_;
};

void Parser::header() {
  const std::string_view start(reinterpret_cast<const char*>(bytes_.data()), std::min<size_t>(bytes_.size(), 24));
  if (start.empty()) bad("is empty");
  if (!start.starts_with("GGUF")) {
    std::string hint;
    if (start.starts_with("version https://git-lfs"))
      hint = "this is a Git LFS pointer, not the model: run `git lfs pull`";
    if (start.starts_with("<")) hint = "this looks like a web page, not a model";
    bad("is not a GGUF file", hint);
  }
  if (bytes_.size() < 24)
    bad(fmt::format("is cut short: a GGUF file has at least 24 bytes, this one {}", bytes_.size()));
  at_ = 4;
  contents_.version = take<uint32_t>();
  if (contents_.version != 0 && (contents_.version & 0xffff) == 0) {
    unsupported("is a big-endian GGUF file; only little-endian ones can be read");
  }
  if (contents_.version != 2 && contents_.version != 3) {
    unsupported(fmt::format("is a GGUF file of version {}; versions 2 and 3 can be read", contents_.version),
                contents_.version == 1 ? "convert the model again with a current tool" : "");
  }
  tensors_ = take<uint64_t>();
  entries_ = take<uint64_t>();
  if (entries_ > left() / kSmallestEntry) {
    bad(fmt::format("claims {} metadata entries, more than its {} bytes can hold", entries_, bytes_.size()));
  }
  if (tensors_ > left() / kSmallestTensor) {
    bad(fmt::format("claims {} tensors, more than its {} bytes can hold", tensors_, bytes_.size()));
  }
  contents_.metadata.reserve(entries_);
  contents_.keys.reserve(entries_);
  contents_.tensors.reserve(tensors_);
  contents_.names.reserve(tensors_);
  offsets_.reserve(tensors_);
}

void Parser::entry(uint64_t number) {
  begin("metadata entry", number);
  const std::string_view key = take_string();
  if (key.empty()) bad(fmt::format("metadata entry {} has no name", number + 1));
  if (key.size() > kLongestKey) bad(fmt::format("metadata entry {} has a name of {} bytes", number + 1, key.size()));
  name_ = key;
  if (!contents_.keys.emplace(key, number).second) bad(fmt::format("metadata key {} stands twice", gguf_quoted(key)));
  contents_.metadata.emplace_back(key, value(take_kind()));
}

GgufKind Parser::take_kind() {
  const auto kind = take<uint32_t>();
  if (kind > static_cast<uint32_t>(GgufKind::kF64))
    bad(fmt::format("{} has a value of unknown kind {}", reading(), kind));
  return static_cast<GgufKind>(kind);
}

GgufValue Parser::value(GgufKind kind) {
  switch (kind) {
    case GgufKind::kU8:
      return {kind, uint64_t{take<uint8_t>()}};
    case GgufKind::kU16:
      return {kind, uint64_t{take<uint16_t>()}};
    case GgufKind::kU32:
      return {kind, uint64_t{take<uint32_t>()}};
    case GgufKind::kU64:
      return {kind, take<uint64_t>()};
    case GgufKind::kI8:
      return {kind, int64_t{take<int8_t>()}};
    case GgufKind::kI16:
      return {kind, int64_t{take<int16_t>()}};
    case GgufKind::kI32:
      return {kind, int64_t{take<int32_t>()}};
    case GgufKind::kI64:
      return {kind, take<int64_t>()};
    case GgufKind::kF32:
      return {kind, double{take<float>()}};
    case GgufKind::kF64:
      return {kind, take<double>()};
    case GgufKind::kString:
      return {kind, take_string()};
    case GgufKind::kArray:
      return {kind, array()};
    case GgufKind::kBool:
      break;
  }
  const auto byte = take<uint8_t>();
  if (byte > 1) bad(fmt::format("{} is a bool of value {}, neither 0 nor 1", reading(), byte));
  return {kind, byte == 1};
}

GgufArray Parser::array() {
  GgufArray array;
  array.kind = take_kind();
  array.count = take<uint64_t>();
  if (array.kind == GgufKind::kArray) unsupported(fmt::format("{} is an array of arrays", reading()));
  const uint64_t smallest = array.kind == GgufKind::kString ? sizeof(uint64_t) : gguf_kind_bytes(array.kind);
  if (array.count > left() / smallest) {
    bad(fmt::format("{} claims an array of {} values, more than the {} bytes left in the file can hold", reading(),
                    array.count, left()));
  }
  if (array.kind == GgufKind::kString) {
    array.strings.reserve(array.count);
    for (uint64_t i = 0; i < array.count; ++i) array.strings.push_back(take_string());
    return array;
  }
  array.data = take(array.count * smallest);
  if (array.kind == GgufKind::kBool) {
    for (uint64_t i = 0; i < array.count; ++i) {
      if (array.data[i] > std::byte{1}) bad(fmt::format("{} holds a bool that is neither 0 nor 1", reading()));
    }
  }
  return array;
}

void Parser::take_split() {
  const auto read = [&](std::string_view key) -> std::optional<uint64_t> {
    const auto found = contents_.keys.find(key);
    if (found == contents_.keys.end()) return std::nullopt;
    const GgufValue& value = contents_.metadata[found->second].second;
    if (const auto* number = std::get_if<uint64_t>(&value.value)) return *number;
    const auto* signed_number = std::get_if<int64_t>(&value.value);
    if (signed_number == nullptr) bad(fmt::format("{} is of kind {}, not an integer", key, gguf_kind_name(value.kind)));
    if (*signed_number < 0) bad(fmt::format("{} is {}", key, *signed_number));
    return static_cast<uint64_t>(*signed_number);
  };
  GgufSplit& split = contents_.split;
  split = {read("split.no").value_or(0), read("split.count").value_or(1), read("split.tensors.count")};
  constexpr uint64_t kMost = 65535;  // what names and 16 bits hold
  if (split.number >= kMost) bad(fmt::format("split.no is {}", split.number));
  if (split.count < 1 || split.count > kMost || split.number >= split.count) {
    bad(fmt::format("says that it is file {} of {} of a model", split.number + 1, split.count));
  }
  if (std::erase_if(contents_.metadata, [](const auto& entry) {
        return entry.first == "split.no" || entry.first == "split.count" || entry.first == "split.tensors.count";
      }) == 0) {
    return;
  }
  contents_.keys.clear();
  for (size_t i = 0; i < contents_.metadata.size(); ++i) contents_.keys.emplace(contents_.metadata[i].first, i);
}

uint64_t Parser::read_alignment() const {
  const auto found = contents_.keys.find("general.alignment");
  if (found == contents_.keys.end()) return 32;
  const GgufValue& value = contents_.metadata[found->second].second;
  if (value.kind != GgufKind::kU32)
    bad(fmt::format("general.alignment is of kind {}, not u32", gguf_kind_name(value.kind)));
  const auto alignment = std::get<uint64_t>(value.value);
  if (!std::has_single_bit(alignment) || alignment < 8) {
    bad(fmt::format("general.alignment is {}, which is not a power of two of at least 8", alignment));
  }
  return alignment;
}

void Parser::tensor(uint64_t number) {
  begin("tensor", number);
  GgufTensor tensor;
  tensor.name = take_string();
  if (tensor.name.empty()) bad(fmt::format("tensor {} has no name", number + 1));
  name_ = tensor.name;
  if (!contents_.names.emplace(tensor.name, number).second) {
    bad(fmt::format("tensor {} stands twice", gguf_quoted(tensor.name)));
  }
  const auto dims = take<uint32_t>();
  if (dims < 1 || dims > 4) bad(fmt::format("{} has {} dimensions; 1 to 4 are possible", reading(), dims));
  tensor.dims = static_cast<int>(dims);
  uint64_t elements = 1;
  for (uint32_t i = 0; i < dims; ++i) {
    tensor.shape[i] = take<uint64_t>();
    if (tensor.shape[i] == 0) bad(fmt::format("{} has a dimension of length 0", reading()));
    if (tensor.shape[i] > std::numeric_limits<int64_t>::max() / elements) {
      bad(fmt::format("{} claims more elements than a 64 bit number can count", reading()));
    }
    elements *= tensor.shape[i];
  }
  const auto type = take<uint32_t>();
  offsets_.push_back(take<uint64_t>());
  tensor.type = find_quant_type(type);
  if (tensor.type == nullptr) unknown_type(type);
  const auto block = static_cast<uint64_t>(tensor.type->block_elements);
  if (tensor.shape[0] % block != 0) {
    bad(fmt::format("{} has rows of {} values, which is not a multiple of the {} in a block of {}", reading(),
                    tensor.shape[0], block, tensor.type->name));
  }
  if (elements / block > bytes_.size() / static_cast<uint64_t>(tensor.type->block_bytes)) {
    bad(fmt::format("{} claims {} values of {}, more than the file's {} bytes can hold", reading(), elements,
                    tensor.type->name, bytes_.size()));
  }
  tensor.bytes = tensor.type->bytes(elements);
  contents_.tensors.push_back(tensor);
}

void Parser::unknown_type(uint32_t type) const {
  constexpr std::string_view kNumbers[] = {"I8", "I16", "I32", "I64",
                                           "F64"};  // 24..28: types of GGML, but not of weights
  if (type >= 24 && type <= 28) {
    unsupported(
        fmt::format("{} has the type {} ({}), which is not one of weights", reading(), kNumbers[type - 24], type));
  }
  unsupported(fmt::format("{} has the unknown type number {}", reading(), type));
}

void Parser::place_tensors(uint64_t alignment) {
  const uint64_t start = (at_ + alignment - 1) & ~(alignment - 1);  // of the data
  std::vector<size_t> order(contents_.tensors.size());              // as they lie in the file
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    GgufTensor& tensor = contents_.tensors[i];
    begin("tensor", i);
    name_ = tensor.name;
    if (offsets_[i] % alignment != 0) {
      bad(fmt::format("{} lies at offset {}, which is not a multiple of the alignment {}", reading(), offsets_[i],
                      alignment));
    }
    if (start > bytes_.size() || offsets_[i] > bytes_.size() - start ||
        tensor.bytes > bytes_.size() - start - offsets_[i]) {
      cut_short();
    }
    tensor.data = bytes_.data() + start + offsets_[i];
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return offsets_[a] < offsets_[b]; });
  for (size_t i = 1; i < order.size(); ++i) {
    const GgufTensor& before = contents_.tensors[order[i - 1]];
    const GgufTensor& after = contents_.tensors[order[i]];
    if (offsets_[order[i]] - offsets_[order[i - 1]] < before.bytes) {
      bad(fmt::format("tensors {} and {} overlap", gguf_quoted(before.name), gguf_quoted(after.name)));
    }
  }
}

}  // namespace

GgufContents parse_gguf(std::span<const std::byte> bytes, const std::string& path) { return Parser(bytes, path).run(); }

uint64_t gguf_kind_bytes(GgufKind kind) {
  switch (kind) {
    case GgufKind::kU8:
    case GgufKind::kI8:
    case GgufKind::kBool:
      return 1;
    case GgufKind::kU16:
    case GgufKind::kI16:
      return 2;
    case GgufKind::kU32:
    case GgufKind::kI32:
    case GgufKind::kF32:
      return 4;
    case GgufKind::kU64:
    case GgufKind::kI64:
    case GgufKind::kF64:
      return 8;
    case GgufKind::kString:
    case GgufKind::kArray:
      break;
  }
  return 0;
}

std::string gguf_quoted(std::string_view name) {
  constexpr size_t kLongest = 64;
  std::string text = "'";
  for (const char c : name.substr(0, kLongest)) {
    if (c >= ' ' && c <= '~') text += c;
    else text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text + (name.size() > kLongest ? "...'" : "'");
}

}  // namespace fieldprint
