#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

void override_slots(KernelTable& table) {
#define MATMUL_TYPE(name, stem) table.matmul[kSlot##name] = matmul_##stem;
#include "kernels/matmul_types.def"
#define KERNEL_SLOT(name) table.name = name;
#include "kernels/slots.def"
}

}  // namespace fieldprint::scalar
