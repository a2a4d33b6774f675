// Any bytes as canonical CBOR: refused with an Error, or a value that encodes to the same bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "fieldprint/error.h"
#include "ledger/cbor.h"

using namespace fieldprint;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ledger::ByteView bytes{reinterpret_cast<const std::byte*>(data), size};
  try {
    const ledger::Value value = ledger::decode(bytes);
    if (!std::ranges::equal(ledger::encode(value), bytes)) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
