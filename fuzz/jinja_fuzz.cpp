// Input: a template, a zero byte, its variables as JSON. Whatever they are, rendering ends soon, with text or an Error;
// the ranges of content are in order and in the text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fieldprint/chat_template.h"
#include "fieldprint/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(input.find('\0'), size);
  const std::string_view variables = zero < size ? input.substr(zero + 1) : "{}";
  fieldprint::RenderOptions options;
  options.now = 1773065107;
  options.max_steps = 200'000;
  options.max_bytes = 4 << 20;
  try {
    const fieldprint::ChatTemplate chat{std::string(input.substr(0, zero))};
    const fieldprint::RenderedPrompt prompt = chat.render_prompt(variables, options);
    size_t done = 0;
    for (const fieldprint::TextRange& range : prompt.content) {
      if (range.begin < done || range.begin >= range.end || range.end > prompt.text.size()) std::abort();
      done = range.end;
    }
  } catch (const fieldprint::Error&) {
  }
  return 0;
}
