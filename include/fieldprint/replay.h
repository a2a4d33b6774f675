// A saved exchange computed again: the same model gives the same bits, on any machine.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fieldprint/model.h"
#include "fieldprint/progress.h"

namespace fieldprint {

struct ReplayResult {
  bool same = false;                // every token, the text, how it ended and the hash of the last logits
  int tokens = 0;                   // of the saved answer
  std::string expected_hash, hash;  // of the last logits
  std::string difference;           // a sentence; "" where all is the same
};

// The model by name that `exchange` was computed with: what its server called it. `exchange`: JSON, the reply of a
// server to a request with `"exchange": true`, or the object `fieldprint.exchange` of one (docs/server.md). Throws
// Error kBadInput for what is none.
std::string replay_model(std::string_view exchange);

// Computes the answer of `exchange` again. From any thread. Throws Error kBadInput for what is no exchange, or is one
// of another model; kLimit where `progress` (in tokens of the prompt) returned false; else as Session's members do.
ReplayResult replay(std::shared_ptr<const Model> model, std::string_view exchange, const Progress& progress = {});

}  // namespace fieldprint
