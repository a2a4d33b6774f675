#include "kernels/avx2/avx2.h"

namespace fieldprint::avx2 {

void override_slots(KernelTable& table) {
#define MATMUL_TYPE(name, stem) table.matmul[kSlot##name] = matmul_##stem;
#include "kernels/matmul_types.def"
#define KERNEL_SLOT(name) table.name = name;
#include "kernels/slots.def"
}

}  // namespace fieldprint::avx2
