// quantize() of models that are no file.
#pragma once

#include <string>

#include "fieldprint/quantize.h"
#include "make/source.h"

namespace fieldprint {

// As quantize(), whose adapters `source` already has.
QuantizePlan write_model(SourceModel source, const std::string& out, const QuantizeOptions& options,
                         const Progress& progress = {});

}  // namespace fieldprint
