// The formats of one block of 32.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/lanes.h"
#include "kernels/lanes/formats.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx512 {

void matmul_q4_0(const Matmul& args) { matmul_lanes<FormatQ4_0<Vec>, Vec>(args, scalar::matmul_q4_0); }
void matmul_q4_1(const Matmul& args) { matmul_lanes<FormatQ4_1<Vec>, Vec>(args, scalar::matmul_q4_1); }
void matmul_q5_0(const Matmul& args) { matmul_lanes<FormatQ5_0<Vec>, Vec>(args, scalar::matmul_q5_0); }
void matmul_q5_1(const Matmul& args) { matmul_lanes<FormatQ5_1<Vec>, Vec>(args, scalar::matmul_q5_1); }
void matmul_q8_0(const Matmul& args) { matmul_lanes<FormatQ8_0<Vec>, Vec>(args, scalar::matmul_q8_0); }
void matmul_iq4_nl(const Matmul& args) { matmul_lanes<FormatIQ4_NL<Vec>, Vec>(args, scalar::matmul_iq4_nl); }
void matmul_mxfp4(const Matmul& args) { matmul_lanes<FormatMXFP4<Vec>, Vec>(args, scalar::matmul_mxfp4); }

}  // namespace fieldprint::avx512
