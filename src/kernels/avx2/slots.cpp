#include "kernels/avx2/avx2.h"

namespace fieldprint::avx2 {

void override_slots(KernelTable& table) {
  table.matmul[kSlotF32] = matmul_f32;
  table.matmul[kSlotF16] = matmul_f16;
  table.matmul[kSlotBF16] = matmul_bf16;
  table.matmul[kSlotQ8_0] = matmul_q8_0;
  table.matmul[kSlotQ4_0] = matmul_q4_0;
  table.matmul[kSlotQ4_1] = matmul_q4_1;
  table.matmul[kSlotQ5_0] = matmul_q5_0;
  table.matmul[kSlotQ5_1] = matmul_q5_1;
  table.matmul[kSlotQ2_K] = matmul_q2_k;
  table.matmul[kSlotQ3_K] = matmul_q3_k;
  table.matmul[kSlotQ4_K] = matmul_q4_k;
  table.matmul[kSlotQ5_K] = matmul_q5_k;
  table.matmul[kSlotQ6_K] = matmul_q6_k;
  table.matmul[kSlotIQ4_XS] = matmul_iq4_xs;
  table.matmul[kSlotIQ4_NL] = matmul_iq4_nl;
  table.matmul[kSlotMXFP4] = matmul_mxfp4;
  table.matmul[kSlotIQ1_S] = matmul_iq1_s;
  table.matmul[kSlotIQ1_M] = matmul_iq1_m;
  table.matmul[kSlotIQ2_XXS] = matmul_iq2_xxs;
  table.matmul[kSlotIQ2_XS] = matmul_iq2_xs;
  table.matmul[kSlotIQ2_S] = matmul_iq2_s;
  table.matmul[kSlotIQ3_XXS] = matmul_iq3_xxs;
  table.matmul[kSlotIQ3_S] = matmul_iq3_s;
  table.matmul[kSlotTQ1_0] = matmul_tq1_0;
  table.matmul[kSlotTQ2_0] = matmul_tq2_0;
  table.quantize = quantize;
  table.rms_norm = rms_norm;
  table.silu_mul = silu_mul;
  table.widen_q8_keys = widen_q8_keys;
  table.widen_q8_values = widen_q8_values;
  table.accumulate_f16 = accumulate_f16;
  table.accumulate_bf16 = accumulate_bf16;
  table.accumulate_panels = accumulate_panels;
  table.softmax_rows = softmax_rows;
  table.burst_int8 = burst_int8;
  table.burst_f32 = burst_f32;
}

}  // namespace fieldprint::avx2
