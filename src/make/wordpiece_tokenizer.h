// A WordPiece vocabulary (BERT and its kin) as Hugging Face folders have it: tokenizer.json, or vocab.txt alone.
#pragma once

#include <string>

#include "gguf/gguf.h"

namespace fieldprint {

// Sets the tokenizer metadata of a folder with a vocabulary of this kind; false where it is of another. `size`: rows of
// the embedding. Throws Error kNotFound, kIo, kBadFile; kUnsupported for settings that GGUF cannot say.
bool set_wordpiece_tokenizer(GgufWriter& writer, const std::string& folder, int64_t size);

}  // namespace fieldprint
