// The tokenizer of a Hugging Face folder (tokenizer.json, tokenizer_config.json, generation_config.json and the chat
// template) as tokenizer.ggml.* metadata.
#pragma once

#include <cstdint>
#include <string>

#include "gguf/gguf.h"

namespace fieldprint {

// Byte-level BPE of `size` tokens; ids that the file leaves out are unused ones. Throws Error kNotFound, kBadFile, and
// kUnsupported, naming what it saw, for another kind of tokenizer or a way of cutting words that nobody here knows.
// `pre` is the name to prefer where several mean the same way; "" = the usual one.
void set_tokenizer(GgufWriter& writer, const std::string& folder, std::string_view pre, int64_t size);

}  // namespace fieldprint
