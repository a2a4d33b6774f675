// AVX-512 (F, BW, DQ, VL) with VNNI. Overrides what gains by it; the rest stays AVX2. The same rule as in avx2/:
// intrinsics, table.h and block structs only.
#pragma once

#if defined(FIELDPRINT_EMULATE_AVX512)
#include "kernels/avx512/emulation.h"
#else
#include <immintrin.h>
#endif

#include "kernels/table.h"

namespace fieldprint::avx512 {

#define MATMUL_TYPE(name, stem) void matmul_##stem(const Matmul&);
#include "kernels/matmul_types.def"
#undef MATMUL_TYPE
void accumulate_f16(const HalfProduct& product);
void accumulate_bf16(const HalfProduct& product);
void score_bytes(const ByteScores& product);
void add_byte_values(const ByteValues& product);
void softmax_rows(const SoftmaxRows& args);
void silu_mul(const float* gate, const float* up, int n, float* y);
int64_t peak_int8(int64_t rounds, int64_t* sink);
int64_t peak_f32(int64_t rounds, int64_t* sink);

}  // namespace fieldprint::avx512
