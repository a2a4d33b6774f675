#pragma once

#include "fieldprint/model.h"
#include "gguf/gguf.h"

namespace fieldprint {

// What the file's metadata and tensor table say, whatever the architecture.
ModelInfo inspect(const GgufFile& file);

}  // namespace fieldprint
