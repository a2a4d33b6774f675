// Hashes by which files that belong together know each other.
#pragma once

#include <string>

#include "gguf/gguf.h"

namespace fieldprint {

// SHA-256 of a model's metadata, its table of tensors, and the first and last 4 KiB of each tensor's data: two models
// that differ have different ones, and 16 GB need not be read to tell.
std::string model_fingerprint(const GgufFile& file);

// SHA-256 of the vocabulary: the tokens in order.
std::string vocabulary_fingerprint(const GgufFile& file);

}  // namespace fieldprint
