#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

void override_slots(KernelTable& table) {
#define MATMUL_TYPE(name, stem) table.matmul[kSlot##name] = matmul_##stem;
#include "kernels/matmul_types.def"
#undef MATMUL_TYPE
  table.quantize = quantize;
  table.rms_norm = rms_norm;
  table.silu_mul = silu_mul;
  table.widen_q8_keys = widen_q8_keys;
  table.widen_q8_values = widen_q8_values;
  table.accumulate_f16 = accumulate_f16;
  table.accumulate_bf16 = accumulate_bf16;
  table.accumulate_panels = accumulate_panels;
  table.accumulate_q8_keys = accumulate_q8_keys;
  table.accumulate_q8_values = accumulate_q8_values;
  table.softmax_rows = softmax_rows;
  table.merge_rows = merge_rows;
  table.burst_int8 = burst_int8;
  table.burst_f32 = burst_f32;
}

}  // namespace fieldprint::scalar
