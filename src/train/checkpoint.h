// Checkpoints: a training as one GGUF file, from which it goes on to the same bits (docs/formats/checkpoint.md).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gguf/gguf.h"

namespace fieldprint {

struct Checkpoint {
  int64_t step = 0, skipped = 0;
  uint64_t seed = 0;
  std::string model, data, options;  // what it is a training of: fingerprints, and the options as text
  std::string extra;                 // of whoever drives the loop
  std::vector<std::pair<std::string, std::span<const float>>> tensors;  // views; parameters, then moments

  std::shared_ptr<const GgufFile> file = {};  // that read_checkpoint()'s views lie in
};

// The file appears whole or not at all. Throws Error kIo: the old one stays.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);
// Throws Error kNotFound, kIo, and kBadFile for what is no checkpoint, was cut short or altered.
Checkpoint read_checkpoint(const std::string& path);

// Checkpoints of a folder: FOLDER/step-00000100.ckpt.gguf.
std::string checkpoint_path(const std::string& folder, int64_t step);
// The one of the most steps that is whole; "" where there is none at all. Throws Error kBadFile where there are some
// and none is whole.
std::string newest_checkpoint(const std::string& folder);
// Of those of at most `step` steps, the last that was written, all but the `keep` of the most go, and what writers that
// died have left. 0: none goes. What is of more steps was not usable, and says nothing of those that are.
void drop_old_checkpoints(const std::string& folder, int keep, int64_t step);

}  // namespace fieldprint
