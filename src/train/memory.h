// What a training takes, reckoned from the model's sizes before any of it is taken.
#pragma once

#include <cstdint>
#include <string>

#include "fieldprint/train.h"
#include "models/hparams.h"

namespace fieldprint {

struct MemoryNeeds {
  uint64_t file_bytes = 0;                    // of the model
  int64_t trained = 0;                        // values
  int64_t moments = 0;                        // of the optimiser, for each
  int64_t micro_batches = 1;                  // of a step, at most
  int64_t tokens = 0, learned = 0;            // of a micro-batch, at most
  int64_t eval_tokens = 0, eval_learned = 0;  // of one of what is held out, which has no gradients
};

// `available` is left to the caller.
TrainMemory memory_of(const Hyperparameters& hp, const MemoryNeeds& needs);

// Throws Error kLimit, naming `where` and what to lower, for what does not fit into what is available.
void require_memory(const TrainMemory& memory, const TrainOptions& options, const std::string& where);

uint64_t available_memory();  // MemAvailable of Linux; 0: it does not say

}  // namespace fieldprint
