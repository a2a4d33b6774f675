// The ladder of attention's kernels: products of queries with keys, of weights with values, and the softmax between.
#pragma once

namespace fieldprint {

// Runs it with the flags of Google Benchmark; returns the program's exit code.
int run_attention_kernels(int argc, char** argv);

}  // namespace fieldprint
