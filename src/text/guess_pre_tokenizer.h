// How a byte-level vocabulary cut text into words, for files that do not say: `tokenizer.ggml.pre` came in spring 2024.
#pragma once

#include <string>

#include "gguf/gguf.h"
#include "text/pre_tokenizer.h"

namespace fieldprint {

// The row that the file names, or else the one that its tokens look like: words that were never cut apart left tokens
// that other ways of cutting could not have made. "default" where they say nothing. Throws Error kUnsupported for an
// unknown name.
const PreTokenizerRow& pre_tokenizer_of(const GgufFile& file);

// A sentence for people where that was a guess; "" where the file says it, or its kind of vocabulary has no words.
std::string pre_tokenizer_warning(const GgufFile& file);

}  // namespace fieldprint
