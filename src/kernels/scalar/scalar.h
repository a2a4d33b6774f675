// The plain kernels: C++ only, the oracle of every other ISA.
#pragma once

#include "kernels/slot_function.h"

namespace fieldprint::scalar {

#define MATMUL_TYPE(name, stem) void matmul_##stem(const Matmul&);
#include "kernels/matmul_types.def"
#define KERNEL_SLOT(name) SlotFunction<decltype(KernelTable::name)> name;
#include "kernels/slots.def"

}  // namespace fieldprint::scalar
