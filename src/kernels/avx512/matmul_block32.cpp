// The weight types of 32 values a block.
#include "kernels/avx512/lanes.h"
#include "kernels/lanes/formats.h"

namespace fieldprint::avx512 {

#define MATMUL_BLOCK32 MATMUL_LANES
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx512
