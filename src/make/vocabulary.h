// Tokenizer metadata for a model that is being made.
#pragma once

#include <string>

#include "gguf/gguf.h"

namespace fieldprint {

// One token a byte, five special ones, unused ones up to `size` (at least 261), and a ChatML template. `pre` is the
// pre-tokenizer's name.
void set_byte_vocabulary(GgufWriter& writer, int size, std::string_view pre);

// All that `from` says of its tokenizer, chat template included, with unused tokens up to `size`. Throws Error
// kBadInput where it has none or one that is larger.
void copy_vocabulary(GgufWriter& writer, const GgufFile& from, int size);

}  // namespace fieldprint
