// The weight types of 256 values a block.
#include "kernels/avx512/lanes.h"
#include "kernels/lanes/formats.h"

namespace fieldprint::avx512 {

#define MATMUL_BLOCK256 MATMUL_LANES
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx512
