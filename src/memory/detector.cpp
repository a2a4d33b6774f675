#include "memory/detector.h"

#include <algorithm>
#include <exception>

#include "base/utf8.h"

namespace fieldprint::memory {

namespace {

// Text that a person who reads it does not see, or sees in another order: tag characters, overrides of direction, long
// runs of characters without width (Unicode Technical Report 36).
bool has_hidden_text(std::string_view text) {
  int run = 0;
  for (size_t i = 0; i < text.size();) {
    const auto [c, length] = utf8_at(text, i);
    i += length;
    if ((c >= 0xe0000 && c <= 0xe007f) || c == 0x202d || c == 0x202e) return true;
    const bool no_width = c == 0x200b || c == 0x200c || c == 0x200d || c == 0x2060 || c == 0xfeff;
    run = no_width ? run + 1 : 0;
    if (run >= 4) return true;
  }
  return false;
}

// The marks by which chat templates tell who speaks: in content they try to speak for somebody else.
bool has_control_marks(std::string_view text) {
  constexpr std::string_view kMarks[] = {"<|im_start|>",    "<|im_end|>", "<|start_header_id|>", "<|eot_id|>",
                                         "<start_of_turn>", "<|system|>", "<|assistant|>",       "<|endoftext|>",
                                         "[INST]",          "<<SYS>>"};
  return std::ranges::any_of(kMarks, [&](std::string_view mark) { return text.find(mark) != std::string_view::npos; });
}

struct Entry {
  std::string_view name;
  bool (*hostile)(std::string_view);
};
constexpr Entry kDetectors[] = {
#define DETECTOR(name, function) {name, function},
#include "memory/detectors.def"
#undef DETECTOR
};

}  // namespace

std::optional<std::string> detect(std::string_view text) {
  for (const Entry& detector : kDetectors) {
    bool hostile = true;
    try {
      hostile = detector.hostile(text);
    } catch (const std::exception&) {  // it stays hostile
    }
    if (hostile) return "detector:" + std::string(detector.name);
  }
  return std::nullopt;
}

}  // namespace fieldprint::memory
