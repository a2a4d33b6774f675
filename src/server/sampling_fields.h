// How the next token is chosen, as requests say it: the names of the OpenAI API where it has them, else llama.cpp's.
#pragma once

#include "fieldprint/sampling.h"
#include "server/fields.h"

namespace fieldprint::server {

// `defaults`, changed by what the request says; a seed is drawn where it names none. Throws ApiError 400.
SamplingOptions read_sampling(const Fields& fields, const SamplingOptions& defaults, const Tokenizer& tokenizer);

// float32 as the shortest decimal that gives it back: 0.8, not 0.800000011920929.
double decimal(float value);

// All of it under the same names, so that read_sampling() gives it back.
Json sampling_json(const SamplingOptions& options);

}  // namespace fieldprint::server
