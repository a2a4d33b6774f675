// Any bytes as a GGUF file: refused with an Error, or readable to the last byte and the same after writing it again.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "fieldprint/error.h"
#include "gguf/gguf.h"

namespace {

using namespace fieldprint;

void require(bool condition) {
  if (!condition) std::abort();
}

uint64_t sum(const void* data, uint64_t size) {  // reads every byte, for the sanitizer
  uint64_t total = 0;
  for (uint64_t i = 0; i < size; ++i) total += static_cast<const unsigned char*>(data)[i];
  return total;
}

void read_value(const GgufFile& file, std::string_view key, const GgufValue& value) {
  require(file.find(key) == &value);
  if (const auto* array = std::get_if<GgufArray>(&value.value)) {
    const bool strings = array->kind == GgufKind::kString;
    require(array->strings.size() == (strings ? array->count : 0));
    for (std::string_view text : array->strings) sum(text.data(), text.size());
    for (uint64_t i = 0; i < array->count && !strings; ++i) array->number(i);
  }
  try {
    file.number(key);
    file.integer(key);
  } catch (const Error&) {
  }
}

void read_tensor(const GgufFile& file, const GgufTensor& tensor) {
  require(file.find_tensor(tensor.name) == &tensor);
  require(tensor.elements() > 0 && tensor.bytes == tensor.type->bytes(tensor.elements()));
  require(reinterpret_cast<uintptr_t>(tensor.data) % 8 == 0);
  sum(tensor.data, tensor.bytes);
  std::vector<float> values(tensor.elements());
  tensor.type->decode(tensor.data, values.data(), static_cast<int64_t>(values.size()));
}

void write_again(const GgufFile& file) {
  GgufWriter writer;
  try {
    for (const auto& [key, value] : file.metadata()) writer.copy(key, value);
    for (const GgufTensor& tensor : file.tensors()) {
      writer.add_tensor(std::string(tensor.name), *tensor.type,
                        {tensor.shape.begin(), tensor.shape.begin() + tensor.dims}, {tensor.data, tensor.bytes});
    }
  } catch (const Error&) {
    return;  // a tensor's name may be longer than the writer allows
  }
  const std::vector<std::byte> bytes = writer.bytes();
  const auto again = GgufFile::parse(bytes, "again");
  require(again->metadata().size() == file.metadata().size() && again->tensors().size() == file.tensors().size());
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const GgufTensor &a = file.tensors()[i], &b = again->tensors()[i];
    require(a.name == b.name && a.type == b.type && a.shape == b.shape && std::memcmp(a.data, b.data, a.bytes) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = GgufFile::parse({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    for (const auto& [key, value] : file->metadata()) read_value(*file, key, value);
    for (const GgufTensor& tensor : file->tensors()) read_tensor(*file, tensor);
    if (file->integer("general.alignment", 32) <= 4096) write_again(*file);  // padding costs memory
  } catch (const Error&) {
  }
  return 0;
}
