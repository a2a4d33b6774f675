#include "ops/products.h"

#include <algorithm>

#include "kernels/select.h"
#include "ops/activations.h"
#include "ops/observer.h"

namespace fieldprint {
namespace {

// Matrices are dealt to threads in pieces: rows for a group of tokens, kPieces a thread as far as their sizes allow.
// Where few tokens pass, the weights stream from memory, and a thread asks for the next piece's while it does one, so
// pieces may be small. Where many do, a piece begins with their outlier blocks (lanes/many_tokens.h), as long as a few
// rows take; these are cut finer only for kLeastPieces a thread.
constexpr int kStreamedTokens = 4, kPieces = 16, kLeastPieces = 4;
constexpr int64_t kLeastStreamed = 64 << 10, kMostStreamed = 128 << 10;  // bytes
constexpr int64_t kLeastCached = 512 << 10, kMostCached = 2048 << 10;
constexpr int kRowAlign = 32, kFloatRowAlign = 4;  // pieces begin at whole panels of every ISA, rows of float types
constexpr int kTokenAlign = 8;                     // at whole tiles, and so do groups of tokens

int64_t row_pieces(const Weight& w, int64_t bytes) { return (w.bytes() + bytes - 1) / bytes; }

int64_t token_pieces(const KernelTable& kernels, const Product& p) {
  if (kernels.matmul[p.weight.type->ggml_id] == nullptr) return 1;  // rows are decoded once
  return (p.tokens + kTokenGroup - 1) / kTokenGroup;
}

Work work_of(const KernelTable& kernels, const Product& p) {
  const auto operations = static_cast<uint64_t>(2 * p.weight.rows * p.weight.cols * p.tokens);
  Work work{.bytes = static_cast<uint64_t>(p.weight.bytes())};
  (wants_quantized(kernels, *p.weight.type) ? work.int8_operations : work.float_operations) = operations;
  return work;
}

const std::byte* first_row(const Product& p, const ProductPiece& piece) {
  return p.weight.data + piece.row * p.weight.row_bytes();
}

}  // namespace

void cut_products(const KernelTable& kernels, int threads, std::span<const Product> products,
                  std::vector<ProductPiece>* pieces) {
  int64_t streamed = 0, cached = 0;  // bytes
  for (const Product& p : products) {
    if (p.tokens <= kStreamedTokens) streamed += p.tokens > 0 ? p.weight.bytes() : 0;
    else cached += p.weight.bytes() * token_pieces(kernels, p);
  }
  // Rather small pieces than threads without any.
  const int64_t streamed_bytes =
      std::min(std::clamp(streamed / (threads * kPieces), kLeastStreamed, kMostStreamed), streamed / threads + 1);
  const int64_t cached_bytes = std::clamp(cached / (threads * kPieces), kLeastCached, kMostCached);
  int64_t cached_pieces = 0;
  for (const Product& p : products) {
    if (p.tokens > kStreamedTokens) cached_pieces += row_pieces(p.weight, cached_bytes) * token_pieces(kernels, p);
  }
  const int64_t finer = cached_pieces > 0 ? (threads * kLeastPieces + cached_pieces - 1) / cached_pieces : 1;
  pieces->clear();
  // By tokens first: a thread goes through all rows for its share of them, which are the rows that for_rows() deals it.
  int64_t most = 1;
  for (int64_t group = 0; group < most; ++group) {
    for (size_t i = 0; i < products.size(); ++i) {
      const Product& p = products[i];
      if (p.tokens == 0) continue;
      const int64_t groups = token_pieces(kernels, p);
      most = std::max(most, groups);
      const int64_t tokens = ((p.tokens + groups - 1) / groups + kTokenAlign - 1) / kTokenAlign * kTokenAlign;
      const int64_t first = group * tokens;
      if (first >= p.tokens) continue;
      const int64_t count = p.tokens <= kStreamedTokens ? row_pieces(p.weight, streamed_bytes)
                                                        : row_pieces(p.weight, cached_bytes) * finer;
      const int64_t align = p.weight.type->block_elements > 1 ? kRowAlign : kFloatRowAlign;
      const int64_t rows = ((p.weight.rows + count - 1) / count + align - 1) / align * align;
      for (int64_t r = 0; r < p.weight.rows; r += rows) {
        pieces->push_back({static_cast<int>(i), static_cast<int>(r),
                           static_cast<int>(std::min(p.weight.rows, r + rows)), static_cast<int>(first),
                           static_cast<int>(std::min(tokens, p.tokens - first))});
      }
    }
  }
}

void Products::multiply(RunExecutor& run) {
  const KernelTable& kernels = run.kernels();
  if (OpsObserver* observer = run.observer()) {
    const Product* before = nullptr;
    for (const Product& p : products_) {
      // Two parts of one tensor (q and k of attn_qkv): it has seen the inputs once.
      const bool same = before != nullptr && before->weight.name == p.weight.name &&
                        before->weight.part == p.weight.part && before->x.f32 == p.x.f32;
      if (!same) observer->inputs(p.weight, {p.x.f32, static_cast<size_t>(p.tokens * p.weight.cols)});
      before = &p;
    }
  }
  for (const Product& p : products_) {
    if (p.tokens > 0) run.count(work_of(kernels, p));
  }
  cut_products(kernels, run.pool().threads(), products_, &pieces_);
  run.pool().run(static_cast<int64_t>(pieces_.size()), [&](int64_t index, int thread) {
    const ProductPiece& piece = pieces_[static_cast<size_t>(index)];
    const Product& product = products_[static_cast<size_t>(piece.product)];
    const Weight& w = product.weight;
    Matmul args;
    args.weights = w.data;
    args.row_bytes = w.row_bytes();
    args.k = static_cast<int>(w.cols);
    args.row_begin = piece.row;
    args.row_end = piece.row_end;
    args.x = rows_from(product.x, piece.token, args.k);
    args.tokens = piece.tokens;
    args.y = product.y + piece.token * w.rows;
    args.y_stride = w.rows;
    args.scratch = run.scratch().thread(thread);
    if (index + 1 < static_cast<int64_t>(pieces_.size())) {
      const ProductPiece& next = pieces_[static_cast<size_t>(index) + 1];
      args.next = first_row(products_[static_cast<size_t>(next.product)], next);
    }
    const MatmulKernel kernel = kernels.matmul[w.type->ggml_id];
    if (kernel != nullptr) kernel(args);
    else matmul_decoded(kernels, *w.type, args);
  });
}

}  // namespace fieldprint
