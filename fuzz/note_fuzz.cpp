// Any bytes as a signed note and as keys: refused with an Error, or written again as they were. No signature of a key
// that has signed nothing is ever right.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fieldprint/error.h"
#include "ledger/note.h"

namespace {

using namespace fieldprint;
using namespace fieldprint::ledger;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename Call>
void refusable(Call call) {
  try {
    call();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The keys of the seeds in fuzz/corpus/note, one of each type.
  static const VerifierKey known[] = {
      VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
      VerifierKey("PeterNeumann", KeyType::kCosignature, PublicKey{std::byte{7}})};
  refusable([&] {
    const Note note = parse_note(text);
    require(format_note(note) == text);
    for (const size_t signer : verify_note(note, known)) require(signer == 0);
  });
  refusable([&] { require(VerifierKey::parse(text).vkey() == text); });
  refusable([&] { require(SignerKey::parse(text).skey() == text); });
  return 0;
}
