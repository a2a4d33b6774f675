// Any bytes as a safetensors file: refused with an Error, or readable to the last byte.
#include <cstdint>
#include <cstdlib>

#include "fieldprint/error.h"
#include "safetensors/safetensors.h"

namespace {

using namespace fieldprint;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = SafetensorsFile::parse({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    uint64_t total = 0, bytes = 0;
    for (const SafeTensor& tensor : file->tensors()) {
      for (uint64_t i = 0; i < tensor.bytes; ++i) total += std::to_integer<uint64_t>(tensor.data[i]);
      bytes += tensor.bytes;
    }
    require(bytes <= size && total <= bytes * 255);
  } catch (const Error&) {
  }
  return 0;
}
