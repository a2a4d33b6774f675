// The features of this CPU, detected once.
#pragma once

namespace fieldprint {

struct CpuFeatures {
  bool avx2 = false;    // AVX2, FMA and F16C
  bool avx512 = false;  // AVX-512 F, BW, DQ, VL and VNNI, with AVX2
};

const CpuFeatures& cpu_features();

}  // namespace fieldprint
