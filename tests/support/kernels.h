// What tests of kernels have in common.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/rng.h"
#include "kernels/select.h"

namespace fieldprint {

inline std::vector<float> random_floats(Rng& rng, size_t n, float size = 1) {
  std::vector<float> v(n);
  for (float& x : v) x = rng.normal() * size;
  return v;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Calls check(table) for every instruction set of this build that this CPU has.
template <class Check>
void for_each_isa(Check&& check) {
  for (const IsaRow& row : isa_rows()) {
    if (!row.supported()) continue;
    SCOPED_TRACE(row.name);
    check(select_kernels(row.name));
  }
}

}  // namespace fieldprint
