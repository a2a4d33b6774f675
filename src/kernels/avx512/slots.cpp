#include "kernels/avx512/avx512.h"

namespace fieldprint::avx512 {

void override_slots(KernelTable& table) {
#define MATMUL_TYPE(name, stem) table.matmul[kSlot##name] = matmul_##stem;
#include "kernels/matmul_types.def"
#define KERNEL_SLOT(name) table.name = name;
#include "kernels/avx512/slots.def"
}

}  // namespace fieldprint::avx512
