// Where a trained model's heads look.
#pragma once

#include <string>

#include "fieldprint/lab.h"

namespace fieldprint {

// Of the first held-out sequence, cut at 128 tokens: one map a head, layer below layer, as SVG. `model` is a GGUF file
// that run_lab() saved. Throws Error as Model::load().
std::string head_maps(const LabSettings& settings, const std::string& model);

}  // namespace fieldprint
