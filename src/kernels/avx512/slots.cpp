#include "kernels/avx512/avx512.h"

namespace fieldprint::avx512 {

void override_slots(KernelTable& table) {
  table.matmul[kSlotF32] = matmul_f32;
  table.matmul[kSlotF16] = matmul_f16;
  table.matmul[kSlotBF16] = matmul_bf16;
  table.matmul[kSlotQ8_0] = matmul_q8_0;
  table.matmul[kSlotQ4_0] = matmul_q4_0;
  table.matmul[kSlotQ4_1] = matmul_q4_1;
  table.matmul[kSlotQ5_0] = matmul_q5_0;
  table.matmul[kSlotQ5_1] = matmul_q5_1;
  table.accumulate = accumulate;
  table.accumulate_f32 = accumulate_f32;
  table.burst_int8 = burst_int8;
  table.burst_f32 = burst_f32;
}

}  // namespace fieldprint::avx512
