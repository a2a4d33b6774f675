// Which layers see a sliding window only, and soft-caps: as the files of Gemma and gpt-oss say them.
#pragma once

#include "models/config.h"
#include "models/hparams.h"
#include "models/metadata.h"

namespace fieldprint {

// attention.sliding_window, `window` where the file is silent, 0 for none; attention.sliding_window_pattern: a number
// p, of p layers the last one sees everything, or a truth value for each layer. `period` is p where the file is silent.
void read_windows(const Metadata& metadata, Hyperparameters& hp, int window, int period);
// sliding_window, and layer_types where there are such. Throws Error kBadFile, kUnsupported.
void read_windows(const Config& config, Hyperparameters& hp, int window, int period);
void write_windows(const MetadataWriter& out, const Hyperparameters& hp, int period);

float read_softcap(const Metadata& metadata, std::string_view key, double fallback);  // 0: none

}  // namespace fieldprint
