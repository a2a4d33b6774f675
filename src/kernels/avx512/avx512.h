// AVX-512 (F, BW, DQ, VL) with VNNI. Overrides the slots that gain by it; the rest stay AVX2. The same rule as in
// avx2/: intrinsics, table.h and block structs only.
#pragma once

#if defined(FIELDPRINT_EMULATE_AVX512)
#include "kernels/avx512/emulation.h"
#else
#include <immintrin.h>
#endif

#include "kernels/slot_function.h"

namespace fieldprint::avx512 {

#define MATMUL_TYPE(name, stem) void matmul_##stem(const Matmul&);
#include "kernels/matmul_types.def"
#define KERNEL_SLOT(name) SlotFunction<decltype(KernelTable::name)> name;
#include "kernels/avx512/slots.def"

}  // namespace fieldprint::avx512
