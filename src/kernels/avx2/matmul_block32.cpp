// The weight types of 32 values a block.
#include "kernels/avx2/lanes.h"
#include "kernels/lanes/formats.h"

namespace fieldprint::avx2 {

#define MATMUL_BLOCK32 MATMUL_LANES
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx2
