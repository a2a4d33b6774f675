// The plain kernels: C++ only, the oracle of every other ISA.
#pragma once

#include "kernels/table.h"

namespace fieldprint::scalar {

#define MATMUL_TYPE(name, stem) void matmul_##stem(const Matmul&);
#include "kernels/matmul_types.def"
#undef MATMUL_TYPE
void quantize(const float* x, int n, const Activations& out);
void quantize_bytes(const float* x, int64_t n, int8_t* q, float* scales, int32_t* sums);
void rms_norm(const float* x, const float* weight, int n, float eps, float* y);
void silu_mul(const float* gate, const float* up, int n, float* y);
void accumulate_f16(const HalfProduct& product);
void accumulate_bf16(const HalfProduct& product);
void score_bytes(const ByteScores& product);
void add_byte_values(const ByteValues& product);
void softmax_rows(const SoftmaxRows& rows);
void merge_rows(const MergeRows& args);
int64_t peak_int8(int64_t rounds, int64_t* sink);
int64_t peak_f32(int64_t rounds, int64_t* sink);

}  // namespace fieldprint::scalar
