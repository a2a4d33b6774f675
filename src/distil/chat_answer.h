// What a server of the OpenAI API answers to a chat completion, whole or as a stream of events, taken apart.
#pragma once

#include <string_view>

#include "distil/teacher.h"

namespace fieldprint {

// `body`: JSON of the answer, or with `events` the text of the stream. `top_k`: how many likeliest tokens were asked
// for. Thinking is what comes as "reasoning_content" or "reasoning", else what stands between <think> and </think> (and
// kin) where the answer begins. Calls are numbered anew, since servers draw their ids. Token ids are there where the
// server gives them: as "token_ids", or in the log-probabilities, as "id" or as "token_id:N".
TeacherAnswer read_chat_answer(std::string_view body, bool events, int top_k);

// The sentence of an error's body: {"error": {"message": ...}} and what else is in use; else how it begins.
std::string error_sentence(std::string_view body);

}  // namespace fieldprint
