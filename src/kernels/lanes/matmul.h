// Quantised weights times quantised activations, for any format and any vector V whose lanes hold 32 bits. Weight rows
// lie across the lanes: lane r is row r, and its 32 bits are four bytes of that row. So a block's integer sums of all
// rows, and the one fma that follows, are one operation each: the order that the contract prescribes (kernels/table.h).
//
//   native blocks --read: 4 x 4 transposes--> raw words, lane r from row r --word--> a vector of bytes --products-->
//
// Few tokens multiply these bytes at once (few_tokens.h), many when they lie in a panel (many_tokens.h).
//
// An ISA's folder includes this with its own V (avx2/lanes.h, avx512/lanes.h; vector_contract.h lists its members). V
// has internal linkage there, and so have the templates made from it. Nothing here may call the standard library.
#pragma once

#include "kernels/lanes/few_tokens.h"
#include "kernels/lanes/many_tokens.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint {
namespace {

// `plain` multiplies where the matrix has fewer rows than V has lanes.
template <class F, class V>
void matmul_lanes(const Matmul& args, MatmulKernel plain) {
  if (args.row_end < V::kLanes) return plain(args);
  if (args.tokens <= V::few_tokens(F::kGroups)) return few_tokens<F, V>(args);
  many_tokens<F, V>(args);
}

}  // namespace
}  // namespace fieldprint

// Defines the kernel of a row of matmul_types.def in the namespace of an ISA, whose vector is Vec.
#define MATMUL_LANES(name, stem) \
  void matmul_##stem(const Matmul& args) { matmul_lanes<Format##name<Vec>, Vec>(args, scalar::matmul_##stem); }
