// The weight types of codebook rows and of ternary digits.
#include "kernels/avx512/lanes.h"
#include "kernels/lanes/codebook_formats.h"

namespace fieldprint::avx512 {

#define MATMUL_CODEBOOK MATMUL_LANES
#include "kernels/matmul_types.def"

}  // namespace fieldprint::avx512
