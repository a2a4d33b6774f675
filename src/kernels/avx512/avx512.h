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

void matmul_f32(const Matmul&);
void matmul_f16(const Matmul&);
void matmul_bf16(const Matmul&);
void matmul_q8_0(const Matmul&);
void matmul_q4_0(const Matmul&);
void matmul_q4_1(const Matmul&);
void matmul_q5_0(const Matmul&);
void matmul_q5_1(const Matmul&);
void matmul_q2_k(const Matmul&);
void matmul_q3_k(const Matmul&);
void matmul_q4_k(const Matmul&);
void matmul_q5_k(const Matmul&);
void matmul_q6_k(const Matmul&);
void matmul_iq4_xs(const Matmul&);
void matmul_iq4_nl(const Matmul&);
void matmul_mxfp4(const Matmul&);
void matmul_iq1_s(const Matmul&);
void matmul_iq1_m(const Matmul&);
void matmul_iq2_xxs(const Matmul&);
void matmul_iq2_xs(const Matmul&);
void matmul_iq2_s(const Matmul&);
void matmul_iq3_xxs(const Matmul&);
void matmul_iq3_s(const Matmul&);
void matmul_tq1_0(const Matmul&);
void matmul_tq2_0(const Matmul&);
void accumulate_f16(const Product<uint16_t>& product);
void accumulate_bf16(const Product<uint16_t>& product);
void accumulate_panels(const Product<float>& product);
int64_t burst_int8(int64_t rounds, int64_t* sink);
int64_t burst_f32(int64_t rounds, int64_t* sink);

}  // namespace fieldprint::avx512
