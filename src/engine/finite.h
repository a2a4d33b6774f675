// Logits that are NaN or infinite are an error. It costs one look at each row of logits; where they came from is found
// by a second pass, made only when it happens.
#pragma once

#include <exception>
#include <span>

#include "engine/stepper.h"
#include "fieldprint/error.h"

namespace fieldprint {

bool all_finite(std::span<const float> values);

// Thrown where logits are looked at, for somebody above who may pass over the tokens again.
struct NotFinite : std::exception {
  const char* what() const noexcept override { return "the logits are not finite"; }
};

// kBadFile: says in which layer of `model` the first such values appear while `tokens` pass, and which tensor holds
// some. Takes the step mutex.
Error not_finite_error(std::shared_ptr<const LoadedModel> model, const SessionOptions& options,
                       std::span<const TokenId> tokens);

}  // namespace fieldprint
