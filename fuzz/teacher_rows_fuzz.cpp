// Any bytes as a teacher's row, or as the file of its probabilities: refused with an Error, or the same after writing
// it again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fieldprint/error.h"
#include "train/distilled.h"

namespace {

using namespace fieldprint;

void require(bool condition) {
  if (!condition) std::abort();
}

void read_row(std::string_view text) {
  try {
    const std::string line = to_line(read_teacher_row(text, "fuzz"));
    require(to_line(read_teacher_row(line, "fuzz")) == line && is_teacher_row(line));
  } catch (const Error&) {
  }
}

void read_top(std::string_view text) {
  const int descriptor = ::memfd_create("top", 0);
  require(descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  try {
    const TopFile file("/proc/self/fd/" + std::to_string(descriptor));
    require(file.whole_bytes() <= text.size());
    // The key of the first record, where there is one; others differ in what is mutated.
    std::string key;
    for (size_t i = kTopMagic.size(); i < kTopMagic.size() + 32 && i < text.size(); ++i) {
      constexpr const char* kDigits = "0123456789abcdef";
      key += kDigits[static_cast<unsigned char>(text[i]) >> 4],
          key += kDigits[static_cast<unsigned char>(text[i]) & 15];
    }
    if (const auto record = file.find(key)) {
      require(to_bytes(*record).size() == file.bytes(key).size());
      require(record->ids.size() == record->tail.size() * static_cast<size_t>(record->k));
    }
  } catch (const Error&) {
  }
  ::close(descriptor);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with(kTopMagic.substr(0, 4))) read_top(text);
  else read_row(text);
  return 0;
}
