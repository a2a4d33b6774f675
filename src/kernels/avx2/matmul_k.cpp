// The formats of blocks of 256.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/lanes.h"
#include "kernels/lanes/formats.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {

void matmul_q2_k(const Matmul& args) { matmul_lanes<FormatQ2_K<Vec>, Vec>(args, scalar::matmul_q2_k); }
void matmul_q3_k(const Matmul& args) { matmul_lanes<FormatQ3_K<Vec>, Vec>(args, scalar::matmul_q3_k); }
void matmul_q4_k(const Matmul& args) { matmul_lanes<FormatQ4_K<Vec>, Vec>(args, scalar::matmul_q4_k); }
void matmul_q5_k(const Matmul& args) { matmul_lanes<FormatQ5_K<Vec>, Vec>(args, scalar::matmul_q5_k); }
void matmul_q6_k(const Matmul& args) { matmul_lanes<FormatQ6_K<Vec>, Vec>(args, scalar::matmul_q6_k); }
void matmul_iq4_xs(const Matmul& args) { matmul_lanes<FormatIQ4_XS<Vec>, Vec>(args, scalar::matmul_iq4_xs); }

}  // namespace fieldprint::avx2
