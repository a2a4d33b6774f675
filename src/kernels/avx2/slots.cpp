#include "kernels/avx2/avx2.h"

namespace fieldprint::avx2 {

void override_slots(KernelTable& table) {
#define MATMUL_TYPE(name, stem) table.matmul[kSlot##name] = matmul_##stem;
#include "kernels/matmul_types.def"
#undef MATMUL_TYPE
  table.quantize = quantize;
  table.quantize_bytes = quantize_bytes;
  table.rms_norm = rms_norm;
  table.silu_mul = silu_mul;
  table.accumulate_f16 = accumulate_f16;
  table.accumulate_bf16 = accumulate_bf16;
  table.score_bytes = score_bytes;
  table.add_byte_values = add_byte_values;
  table.softmax_rows = softmax_rows;
  table.merge_rows = merge_rows;
  table.peak_int8 = peak_int8;
  table.peak_f32 = peak_f32;
}

}  // namespace fieldprint::avx2
