// The quantised form of a tensor, which products with most weight types want: made once, however many matrices
// multiply it, and kept beside its values in the arena.
#pragma once

#include "kernels/table.h"
#include "ops/run_executor.h"
#include "ops/weight.h"

namespace fieldprint {

// `x` as the kernel of `w` wants it.
Activations activations(RunExecutor& run, const Tensor& x, const Weight& w);

// The rows from `row` on. What was not quantised has null pointers, which stay null.
Activations rows_from(const Activations& x, int64_t row, int k);

// `x` quantised.
Activations quantized(RunExecutor& run, const Tensor& x);

// Where the quantised form of `x` lies, whatever is there now. Whoever fills it says so in quantized_valid of the slot.
Activations quantized_memory(RunExecutor& run, const Tensor& x);
void copy_row(const Activations& from, const Activations& to, int k);

}  // namespace fieldprint
