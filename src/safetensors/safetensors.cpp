#include "safetensors/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mapped_file.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using nlohmann::json;

constexpr uint64_t kLongestHeader = 100'000'000;  // what other readers take

struct Dtype {
  std::string_view name;
  uint64_t bytes;
};
constexpr Dtype kDtypes[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8},     {"I64", 8},
                             {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U64", 8},     {"U32", 4},
                             {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

// A name from a stranger in a message: short, and nothing that a terminal would obey.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 80)) out += c >= 0 && c < 32 ? '?' : c;
  return "'" + out + (text.size() > 80 ? "..." : "") + "'";
}

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  std::vector<SafeTensor> run() {
    uint64_t length = 0;
    if (bytes_.size() < sizeof(length)) refuse("too short for a safetensors file");
    std::memcpy(&length, bytes_.data(), sizeof(length));
    if (length > kLongestHeader)
      refuse(fmt::format("states a header of {} bytes, at most {} are read", length, kLongestHeader));
    if (length > bytes_.size() - sizeof(length))
      refuse(fmt::format("states a header of {} bytes, more than it has", length));
    data_ = bytes_.subspan(sizeof(length) + length);
    const json header = parse_header({reinterpret_cast<const char*>(bytes_.data()) + sizeof(length), length});
    std::vector<SafeTensor> tensors;
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") tensors.push_back(read(name, entry));
    }
    std::sort(tensors.begin(), tensors.end(), [](const SafeTensor& a, const SafeTensor& b) {
      return std::pair(a.data, a.bytes) < std::pair(b.data, b.bytes);
    });
    const std::byte* end = data_.data();
    for (const SafeTensor& tensor : tensors) {
      if (tensor.data < end) refuse(fmt::format("tensor {} overlaps the one before it", shown(tensor.name)));
      if (tensor.data > end) refuse(fmt::format("bytes that are no tensor's lie before {}", shown(tensor.name)));
      end = tensor.data + tensor.bytes;
    }
    if (end != data_.data() + data_.size()) refuse("bytes that are no tensor's lie at the end");
    return tensors;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { throw Error(ErrorKind::kBadFile, what, name_); }

  json parse_header(std::string_view text) const {
    const json header = parse_json(text, name_ + ": header", {.kind = ErrorKind::kBadFile, .unique_names = true});
    if (!header.is_object()) refuse("its header is not a JSON object");
    return header;
  }

  uint64_t unsigned_of(const json& value, std::string_view tensor) const {
    if (!value.is_number_unsigned())
      refuse(fmt::format("tensor {} has a length or offset that is none", shown(tensor)));
    return value.get<uint64_t>();
  }

  SafeTensor read(const std::string& name, const json& entry) const {
    const auto part = [&](const char* key) -> const json& {
      const auto found = entry.is_object() ? entry.find(key) : entry.end();
      if (!entry.is_object() || found == entry.end()) refuse(fmt::format("tensor {} has no {}", shown(name), key));
      return *found;
    };
    SafeTensor tensor;
    tensor.name = name;
    if (!part("dtype").is_string()) refuse(fmt::format("tensor {} has no dtype", shown(name)));
    tensor.dtype = part("dtype").get<std::string>();
    const auto* dtype = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                     [&](const Dtype& one) { return one.name == tensor.dtype; });
    if (dtype == std::end(kDtypes)) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("tensor {} has the unknown dtype {}", shown(name), shown(tensor.dtype)), name_);
    }
    if (dtype->name == "F32" || dtype->name == "F16" || dtype->name == "BF16")
      tensor.type = find_quant_type(dtype->name);
    const json &shape = part("shape"), &offsets = part("data_offsets");
    if (!shape.is_array() || shape.size() > 8)
      refuse(fmt::format("tensor {} has no shape of at most 8 lengths", shown(name)));
    uint64_t expected = dtype->bytes;
    for (const json& length : shape) {
      tensor.shape.push_back(unsigned_of(length, name));
      if (__builtin_mul_overflow(expected, tensor.shape.back(), &expected)) {
        refuse(fmt::format("tensor {} has more values than can be counted", shown(name)));
      }
    }
    if (!offsets.is_array() || offsets.size() != 2) refuse(fmt::format("tensor {} has no two offsets", shown(name)));
    const uint64_t begin = unsigned_of(offsets[0], name), end = unsigned_of(offsets[1], name);
    if (begin > end || end > data_.size()) {
      refuse(fmt::format("tensor {} lies at {} to {}, the data end at {}", shown(name), begin, end, data_.size()));
    }
    if (end - begin != expected) {
      refuse(fmt::format("tensor {} has {} bytes, its shape and {} ask for {}", shown(name), end - begin, tensor.dtype,
                         expected));
    }
    tensor.data = data_.data() + begin;
    tensor.bytes = expected;
    return tensor;
  }

  std::span<const std::byte> bytes_, data_;
  const std::string& name_;
};

}  // namespace

struct SafetensorsFile::State {
  std::string path;
  std::optional<MappedFile> mapped;
  std::vector<SafeTensor> tensors;
};

SafetensorsFile::SafetensorsFile() : state_(std::make_unique<State>()) {}
SafetensorsFile::~SafetensorsFile() = default;

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->state_->path = path;
  file->state_->mapped.emplace(path);
  file->state_->tensors = Parser(file->state_->mapped->bytes(), file->state_->path).run();
  return file;
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->state_->path = std::move(name);
  file->state_->tensors = Parser(bytes, file->state_->path).run();
  return file;
}

const std::string& SafetensorsFile::path() const { return state_->path; }
const std::vector<SafeTensor>& SafetensorsFile::tensors() const { return state_->tensors; }

}  // namespace fieldprint
