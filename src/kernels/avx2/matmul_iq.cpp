// The formats of codebooks and of ternary digits.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/lanes.h"
#include "kernels/lanes/codebook_formats.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {

void matmul_iq1_s(const Matmul& args) { matmul_lanes<FormatIQ1_S<Vec>, Vec>(args, scalar::matmul_iq1_s); }
void matmul_iq1_m(const Matmul& args) { matmul_lanes<FormatIQ1_M<Vec>, Vec>(args, scalar::matmul_iq1_m); }
void matmul_iq2_xxs(const Matmul& args) { matmul_lanes<FormatIQ2_XXS<Vec>, Vec>(args, scalar::matmul_iq2_xxs); }
void matmul_iq2_xs(const Matmul& args) { matmul_lanes<FormatIQ2_XS<Vec>, Vec>(args, scalar::matmul_iq2_xs); }
void matmul_iq2_s(const Matmul& args) { matmul_lanes<FormatIQ2_S<Vec>, Vec>(args, scalar::matmul_iq2_s); }
void matmul_iq3_xxs(const Matmul& args) { matmul_lanes<FormatIQ3_XXS<Vec>, Vec>(args, scalar::matmul_iq3_xxs); }
void matmul_iq3_s(const Matmul& args) { matmul_lanes<FormatIQ3_S<Vec>, Vec>(args, scalar::matmul_iq3_s); }
void matmul_tq1_0(const Matmul& args) { matmul_lanes<FormatTQ1_0<Vec>, Vec>(args, scalar::matmul_tq1_0); }
void matmul_tq2_0(const Matmul& args) { matmul_lanes<FormatTQ2_0<Vec>, Vec>(args, scalar::matmul_tq2_0); }

}  // namespace fieldprint::avx2
