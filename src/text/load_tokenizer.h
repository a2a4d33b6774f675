// The tokenizer of a GGUF file that is open already.
#pragma once

#include <memory>

#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"

namespace fieldprint {

// Reads `tokenizer.ggml.*`; `file` need not outlive the result. Throws Error as load_tokenizer(path) does.
std::unique_ptr<Tokenizer> load_tokenizer(const GgufFile& file);

}  // namespace fieldprint
