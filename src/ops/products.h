// Matrix products: several at once, cut into pieces that are dealt to the threads.
#pragma once

#include <vector>

#include "kernels/table.h"
#include "ops/run_executor.h"
#include "ops/weight.h"

namespace fieldprint {

// y [tokens, weight.rows] = x weight^T.
struct Product {
  Weight weight;
  Activations x;  // as the weight's kernel wants them (activations.h)
  int tokens = 0;
  float* y = nullptr;
};

// Rows of a product's weight for some of its tokens: what a thread does at once.
struct ProductPiece {
  int product, row, row_end, token, tokens;
};

// In the order in which they are best done. `pieces` is overwritten.
void cut_products(const KernelTable& kernels, int threads, std::span<const Product> products,
                  std::vector<ProductPiece>* pieces);

// Of a RunExecutor's memory(): a list of products, then all of them in one parallel loop.
class Products {
 public:
  void clear() { products_.clear(); }
  void add(const Product& product) { products_.push_back(product); }
  void multiply(RunExecutor& run);

 private:
  std::vector<Product> products_;
  std::vector<ProductPiece> pieces_;
};

}  // namespace fieldprint
