// AVX2 with FMA and F16C. Intrinsics, table.h and block structs only: no standard library templates here, or the linker
// may keep this folder's copy of an inline function and run it on a machine without AVX2.
#pragma once

#include "kernels/slot_function.h"

namespace fieldprint::avx2 {

#define MATMUL_TYPE(name, stem) void matmul_##stem(const Matmul&);
#include "kernels/matmul_types.def"
#define KERNEL_SLOT(name) SlotFunction<decltype(KernelTable::name)> name;
#include "kernels/slots.def"

}  // namespace fieldprint::avx2
