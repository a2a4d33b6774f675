// Attention as the formulas say it, one query at a time, all scores in memory: the oracle of the walk. In double it is
// what results are compared with, in float the plain evaluation whose error says what error is natural.
#pragma once

#include "attention/kind.h"

namespace fieldprint {

// Keys and values of one kv head: key j at keys + j * stride [d].
template <class Number>
struct ReferenceKeys {
  const Number* keys;
  const Number* values;
  int64_t stride;
  int first, end;  // the query sees keys first <= j < end
};

// out [d] for one query q [d] (and r [d], where the kind wants it) of `head`, which reads kv_head. Number: double,
// float.
template <class Number>
void attend_reference(const AttentionSpec& spec, int d, int head, int kv_head, const Number* q, const Number* r,
                      const ReferenceKeys<Number>& context, Number* out);

}  // namespace fieldprint
