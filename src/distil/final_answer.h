// What an answer ends up with, and when two such ends are the same: for verifiers and majority votes.
#pragma once

#include <string>
#include <string_view>

#include "eval/pattern.h"

namespace fieldprint::distil {

// Group 1 of the last match, or all of it where there is no group; "" where nothing matches.
std::string last_match(const Pattern& pattern, std::string_view text);

// The final answer of a text, not normalised yet. `pattern`, where not null: last_match() of it.
// Else the first of these that is there: the last \boxed{...}; what follows the last "####" on its line; what follows
// the last "answer is" or "answer:" on its line (in some languages); where `number`, the last number; the whole text.
// Where `number`, of these the number that they give, of an equation that behind its last "=".
std::string final_answer(std::string_view text, const Pattern* pattern, bool number);

// In one form: lower case, single spaces, without marks of emphasis, quotes, $ and a stop around it. Numbers as
// decimals or fractions in lowest terms, without currency and per cent signs: "$1,250.50" and "1250.5" are equal, "3/4"
// and "0.75". What runs on into something else is no number but a text: "1:30", "3-5", "2x". "" stands for no answer,
// which is equal to none.
std::string normalised_answer(std::string_view text);
bool is_number(std::string_view normalised);

}  // namespace fieldprint::distil
