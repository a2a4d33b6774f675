// A prompt and its answer with all that is needed to compute the answer again and compare every bit.
#pragma once

#include <string>
#include <vector>

#include "fieldprint/generation.h"
#include "fieldprint/labels.h"
#include "fieldprint/sampling.h"
#include "server/constraint.h"
#include "server/fields.h"
#include "server/service.h"

namespace fieldprint::server {

struct Exchange {
  std::vector<LabelledTokens> prompt;
  SamplingOptions sampling;  // of this answer alone: of several, with its own seed
  Constraint constraint = {};
  int clearance = 0;
};

std::string_view finish_name(FinishReason reason);  // "end", "stop", "length", "context" ...

Json exchange_json(Service& service, const Exchange& exchange, const Generation& answer);
// The prompt and how it was answered, of exchange_json(). Throws ApiError 400; too where it is of another model than
// the one of that fingerprint.
Exchange exchange_from_json(const Fields& fields, const Model& model);

// What two computations of one exchange are compared by.
Json answer_json(const Generation& answer);
// A sentence; "" where `got` is the same answer.
std::string answer_difference(const Json& expected, const Json& got);

// Hash of a prompt's tokens and labels: 64 hex digits.
std::string prompt_hash(const std::vector<LabelledTokens>& prompt);

}  // namespace fieldprint::server
