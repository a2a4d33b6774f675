// The k likeliest tokens of a place, gathered into a record.
#pragma once

#include <span>
#include <utility>

#include "train/distilled.h"

namespace fieldprint {

// Appends a token's place to `to`, whose k is set: `top` holds ln p, the likeliest first. What lies behind k, or was
// not given, is the tail: ln(1 - sum of p).
void add_top(TopRecord& to, std::span<const std::pair<TokenId, double>> top);

}  // namespace fieldprint
