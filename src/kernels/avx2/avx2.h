// AVX2 with FMA and F16C. Intrinsics, table.h and block structs only: no standard library templates here, or the linker
// may keep this folder's copy of an inline function and run it on a machine without AVX2.
#pragma once

#include "kernels/table.h"

namespace fieldprint::avx2 {

#define MATMUL_TYPE(name, stem) void matmul_##stem(const Matmul&);
#include "kernels/matmul_types.def"
#undef MATMUL_TYPE
void quantize(const float* x, int n, const Activations& out);
void rms_norm(const float* x, const float* weight, int n, float eps, float* y);
void silu_mul(const float* gate, const float* up, int n, float* y);
void widen_q8_keys(const int8_t* in, const uint16_t* scales, int64_t in_stride, float* panels, int rows, int columns);
void widen_q8_values(const int8_t* in, const uint16_t* scales, float* panels, int rows, int columns);
void accumulate_f16(const Product<uint16_t>& product);
void accumulate_bf16(const Product<uint16_t>& product);
void accumulate_panels(const Product<float>& product);
void accumulate_q8_keys(const Product<int8_t>& product);
void accumulate_q8_values(const Product<int8_t>& product);
void softmax_rows(const SoftmaxRows& rows);
void merge_rows(const MergeRows& args);
int64_t burst_int8(int64_t rounds, int64_t* sink);
int64_t burst_f32(int64_t rounds, int64_t* sink);

}  // namespace fieldprint::avx2
