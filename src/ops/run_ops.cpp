#include "ops/run_ops.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "attention/walk.h"
#include "base/math.h"
#include "kernels/select.h"
#include "kv/conv_state.h"
#include "kv/sequence.h"

namespace fieldprint {
namespace {

// Matrices are dealt to threads in pieces: rows for a group of tokens, kPieces a thread as far as their sizes allow.
// Where few tokens pass, the weights stream from memory, and a thread asks for the next piece's while it does one, so
// pieces may be small. Where many do, a piece begins with their fine blocks (lanes/many_tokens.h), as long as a few
// rows take; these are cut finer only for kLeastPieces a thread.
constexpr int kStreamedTokens = 4, kPieces = 16, kLeastPieces = 4;
constexpr int64_t kLeastStreamed = 64 << 10, kMostStreamed = 128 << 10;  // bytes
constexpr int64_t kLeastCached = 512 << 10, kMostCached = 2048 << 10;
constexpr int kRowAlign = 32, kFloatRowAlign = 4;  // pieces begin at whole panels of every ISA, rows of float types
constexpr int kTokenAlign = 8;                     // at whole tiles, and so do groups of tokens

constexpr int kRowsAtOnce = 4;  // of row-wise work: about as long as a parallel loop takes to begin and end

// Conv states are kept at the ends of prompts and every kSnapshotTokens tokens: going back there replays nothing.
constexpr int kSnapshotTokens = 64;
constexpr int64_t kMaxSnapshotBytes = 16 << 20;

struct RunSequence final : SequenceState {
  RunSequence(const KvLayout& layout, PagePool& pool) : pages(layout, pool), conv(layout, kMaxSnapshotBytes) {}
  int truncate(int tokens) override {
    spans.truncate(tokens);
    pages.truncate(tokens);
    return conv.rewind(tokens);
  }
  std::unique_ptr<SequenceState> fork() const override { return std::make_unique<RunSequence>(*this); }
  KvSequence* kv() override { return &pages; }
  int64_t bytes() const override { return pages.bytes() + conv.bytes(); }
  KvSequence pages;
  ConvState conv;
  Influence meter;  // of `influence`
};

// Rows of a weight times rows of activations: one unit of what multiply() deals out.
struct Product {
  Weight weight;
  Activations x;
  int tokens;
  float* y;  // [tokens, weight.rows]
};

class RunOpsImpl final : public RunOps {
 public:
  RunOpsImpl(const KernelTable& kernels, ThreadPool& pool, KvLayout layout)
      : kernels_(kernels),
        pool_(pool),
        layout_(std::move(layout)),
        pages_(layout_.page_bytes()),
        scratch_(pool.threads()) {}

  std::unique_ptr<SequenceState> new_sequence() override { return std::make_unique<RunSequence>(layout_, pages_); }
  Work work() const override { return {bytes_read_, int8_operations_, float_operations_}; }
  void profile(Profiler* profiler) override { profiler_ = profiler; }

  void begin(std::span<const StepSequence> sequences) override {
    sequences_.assign(sequences.begin(), sequences.end());
    positions_.clear();
    rope_for_ = nullptr;
    result_ = Tensor();
    for (const StepSequence& s : sequences_) {
      const int count = static_cast<int>(s.tokens.size());
      for (int t = 0; t < count; ++t) positions_.push_back(s.first_position + t);
      if (!s.replay) reserve(sequence(s), s.first_position, s.first_position + count);  // a replay writes no K/V
      if (s.state->wants_influence) sequence(s).meter.begin(s.first_position + count, s.state->spans);
    }
  }

  Tensor embed(const Weight& table) override {
    const Scope scope(profiler_, *this, "embed", table.name);
    Tensor y = make(rows(), table.cols);
    float* out = data(y);
    for (const StepSequence& s : sequences_) {
      for (const TokenId token : s.tokens) {
        table.type->decode(table.data + token * table.row_bytes(), out, table.cols);
        out += table.cols;
      }
    }
    return y;
  }

  Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) override {
    const Scope scope(profiler_, *this, "rms_norm", weight.name);
    Tensor y = make(x.rows(), x.cols());
    const float* in = data(x);
    float* out = data(y);
    const auto* w = reinterpret_cast<const float*>(weight.data);
    const int n = static_cast<int>(weight.cols);
    for_rows(x.rows(), [&](int row) {
      for (int64_t i = row * x.cols(); i < (row + 1) * x.cols(); i += n) kernels_.rms_norm(in + i, w, n, eps, out + i);
    });
    return y;
  }

  using Ops::linear;
  void linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) override {
    const Scope scope(profiler_, *this, "linear", weights[0]->name, -1, weights.size());
    products_.clear();
    for (size_t i = 0; i < weights.size(); ++i) {
      y[i] = make(x.rows(), weights[i]->rows);
      products_.push_back({*weights[i], activations(x, *weights[i]), x.rows(), data(y[i])});
    }
    multiply();
  }

  void add(Tensor& x, const Tensor& y) override {
    const Scope scope(profiler_, *this, "add");
    float* a = data(x);
    const float* b = data(y);
    arena_.slot(x).quantized_valid = false;
    for_rows(x.rows(), [&](int row) {
      for (int64_t i = row * x.cols(); i < (row + 1) * x.cols(); ++i) a[i] += b[i];
    });
  }

  void rope(Tensor& x, const Rope& rope, int heads) override {
    const Scope scope(profiler_, *this, "rope");
    const auto pairs = static_cast<int>(rope.inverse_frequency.size());
    if (rope_for_ != &rope) compute_rope_table(rope);
    const int64_t d = x.cols() / heads;
    float* values = data(x);
    arena_.slot(x).quantized_valid = false;
    for_rows(x.rows(), [&](int row) {
      const float* cosine = rope_table_.data() + int64_t{row} * 2 * pairs;
      const float* sine = cosine + pairs;
      for (int h = 0; h < heads; ++h) {
        float* v = values + row * x.cols() + h * d;
        if (rope.pairs == RopePairs::kAdjacent) {
          for (int i = 0; i < pairs; ++i) {
            const float a = v[2 * i], b = v[2 * i + 1];
            v[2 * i] = a * cosine[i] - b * sine[i];
            v[2 * i + 1] = a * sine[i] + b * cosine[i];
          }
        } else {
          for (int i = 0; i < pairs; ++i) {
            const float a = v[i], b = v[i + pairs];
            v[i] = a * cosine[i] - b * sine[i];
            v[i + pairs] = a * sine[i] + b * cosine[i];
          }
        }
      }
    });
  }

  Tensor silu_mul(const Tensor& gate, const Tensor& up) override {
    const Scope scope(profiler_, *this, "silu_mul");
    Tensor y = make(gate.rows(), gate.cols());
    const int n = static_cast<int>(gate.cols());
    for_rows(gate.rows(), [&](int row) {
      const int64_t at = int64_t{row} * n;
      kernels_.silu_mul(data(gate) + at, data(up) + at, n, data(y) + at);
    });
    return y;
  }

  Tensor shortconv(int layer, const Tensor& bcz, const Weight& kernel) override {
    const Scope scope(profiler_, *this, "shortconv", {}, layer);
    const int64_t width = bcz.cols() / 3, history = kernel.rows - 1;
    Tensor y = make(bcz.rows(), width);
    const auto* taps = reinterpret_cast<const float*>(kernel.data);
    int row = 0;
    for (const StepSequence& s : sequences_) {
      const int count = static_cast<int>(s.tokens.size());
      float* state = sequence(s).conv.layer(layer);
      Tensor inputs = make(count + static_cast<int>(history), width);  // u, the kept ones first
      float* u = data(inputs);
      std::copy(state, state + history * width, u);
      for_rows(count, [&](int t) {
        const float* b = data(bcz) + (row + t) * bcz.cols();
        float* out = u + (history + t) * width;
        for (int64_t i = 0; i < width; ++i) out[i] = b[i] * b[2 * width + i];
      });
      for_rows(count, [&](int t) {
        const float* c = data(bcz) + (row + t) * bcz.cols() + width;
        float* out = data(y) + (row + t) * width;
        for (int64_t i = 0; i < width; ++i) out[i] = taps[i] * u[t * width + i];
        for (int64_t j = 1; j <= history; ++j) {
          for (int64_t i = 0; i < width; ++i) out[i] += taps[j * width + i] * u[(t + j) * width + i];
        }
        for (int64_t i = 0; i < width; ++i) out[i] *= c[i];
      });
      std::copy(u + count * width, u + (count + history) * width, state);
      row += count;
    }
    return y;
  }

  Tensor moe(const Tensor& x, const Moe& moe) override {
    const Scope scope(profiler_, *this, "moe", moe.router.name);
    const int tokens = x.rows(), active = moe.active, experts = moe.experts;
    const int64_t width = x.cols(), ffn = moe.gate.rows / experts;
    Tensor scores = linear(x, moe.router);
    chosen_.resize(static_cast<size_t>(tokens * active));
    shares_.resize(chosen_.size());
    for_rows(tokens, [&](int t) {
      float* s = data(scores) + t * experts;
      for (int e = 0; e < experts; ++e) s[e] = 1.0f / (1.0f + exp_f32(-s[e]));
      choose_experts(s, reinterpret_cast<const float*>(moe.bias.data), experts, active, chosen_.data() + t * active,
                     shares_.data() + t * active);
    });

    if (observer_ != nullptr) observer_->experts(moe, chosen_, shares_);

    // One row for each choice, those of an expert together: its weights are read once for all its tokens.
    const int rows = tokens * active;
    first_row_.assign(static_cast<size_t>(experts) + 1, 0);
    for (const int e : chosen_) ++first_row_[static_cast<size_t>(e) + 1];
    for (int e = 0; e < experts; ++e) first_row_[static_cast<size_t>(e) + 1] += first_row_[static_cast<size_t>(e)];
    row_of_.resize(chosen_.size());
    next_row_ = first_row_;
    for (size_t i = 0; i < chosen_.size(); ++i) row_of_[i] = next_row_[static_cast<size_t>(chosen_[i])]++;
    Tensor gathered;
    if (tokens > 1) {
      gathered = make(rows, width);
      const bool quantized = wants_quantized(kernels_, *moe.gate.type) && wants_quantized(kernels_, *moe.up.type);
      if (quantized) gather_quantized(x, active, gathered);
      if (!quantized || observer_ != nullptr) {
        for_choices(tokens, active, [&](int t, int row) {
          std::copy(data(x) + t * width, data(x) + (t + 1) * width, data(gathered) + row * width);
        });
      }
    }
    const Tensor& inputs = tokens > 1 ? gathered : x;
    Tensor gate = make(rows, ffn), up = make(rows, ffn);
    products_.clear();
    for_experts(experts, [&](int e, int64_t row, int count) {
      const int64_t input_row = tokens > 1 ? row : 0;
      for (const auto& [weight, out] : {std::pair(&moe.gate, data(gate)), std::pair(&moe.up, data(up))}) {
        products_.push_back({weight->slice(e * ffn, ffn),
                             rows_from(activations(inputs, *weight), input_row, static_cast<int>(width)), count,
                             out + row * ffn});
      }
    });
    multiply();
    const Tensor h = silu_mul(gate, up);
    Tensor outputs = make(rows, width);
    products_.clear();
    for_experts(experts, [&](int e, int64_t row, int count) {
      products_.push_back({moe.down.slice(e * width, width),
                           rows_from(activations(h, moe.down), row, static_cast<int>(ffn)), count,
                           data(outputs) + row * width});
    });
    multiply();
    Tensor y = make(tokens, width);
    for_rows(tokens, [&](int t) {
      float* out = data(y) + t * width;
      std::fill(out, out + width, 0.0f);
      for (int r = 0; r < active; ++r) {
        const auto choice = static_cast<size_t>(t * active + r);
        const float* from = data(outputs) + row_of_[choice] * width;
        for (int64_t i = 0; i < width; ++i) out[i] += shares_[choice] * from[i];
      }
    });
    return y;
  }

  Tensor attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor* r) override {
    const Scope scope(profiler_, *this, "attend", {}, shape.layer);
    Tensor y = make(q.rows(), q.cols());
    const int64_t kv_width = k.cols();
    const int64_t key_bytes = shape.kv_heads * layout_.pair_bytes(shape.layer);
    attending_.clear();
    int row = 0;
    for (const StepSequence& s : sequences_) {
      const int count = static_cast<int>(s.tokens.size());
      KvSequence& cache = sequence(s).pages;
      if (!s.replay)
        for_rows(count, [&](int t) {
          const int64_t at = (row + t) * kv_width;
          cache.write(shape.layer, s.first_position + t, data(k) + at, data(v) + at);
        });
      const int64_t at = row * q.cols();
      attending_.push_back({.kv = &cache,
                            .q = data(q) + at,
                            .r = r != nullptr ? data(*r) + at : nullptr,
                            .out = data(y) + at,
                            .tokens = count,
                            .first_position = s.first_position,
                            .influence = s.state->wants_influence ? &sequence(s).meter : nullptr,
                            .mass = s.state->wants_influence ? sequence(s).meter.mass(shape.heads) : nullptr});
      bytes_read_ += static_cast<uint64_t>((s.first_position + count) * key_bytes);
      count_operations(shape, s.first_position, count);
      row += count;
    }
    if (observer_ != nullptr)
      observer_->attention(shape, data(q), data(k), r != nullptr ? data(*r) : nullptr, q.rows());
    Attend args;
    args.kernels = &kernels_;
    args.spec = shape.spec;
    args.layer = shape.layer;
    args.heads = shape.heads;
    args.window = shape.window;
    args.sequences = attending_;
    fieldprint::attend(args, pool_, scratch_);
    for (const AttendSequence& each : attending_) {
      if (each.influence != nullptr) each.influence->add(shape.spec);
    }
    return y;
  }

  Tensor output_rows(Tensor x) override {
    const int wanted = output_row_count(sequences_);
    if (wanted == x.rows()) return x;
    Tensor y = make(wanted, x.cols());
    copy_output_rows(sequences_, data(x), x.cols(), data(y));
    return y;
  }

  std::span<const float> finish(Tensor x) override {
    for (const StepSequence& s : sequences_) {
      if (s.state->wants_influence) sequence(s).meter.finish(&s.state->influence);
      const int count = static_cast<int>(s.tokens.size()), end = s.first_position + count;
      if (count > 1 || end % kSnapshotTokens == 0) sequence(s).conv.snapshot(end);
    }
    result_ = std::move(x);
    return {data(result_), static_cast<size_t>(result_.rows() * result_.cols())};
  }

 private:
  using Scope = OpScope<RunOps>;

  struct Piece {
    int product, row, row_end, token, tokens;
  };

  // Pages for positions [begin, end), a new one where a span begins.
  static void reserve(RunSequence& sequence, int begin, int end) {
    for (int p = begin; p < end;) {
      const Spans::Span& span = sequence.spans.at(p);
      const int stop = std::min(end, span.end);
      sequence.pages.reserve(p, stop, span.begin);
      p = stop;
    }
  }

  int rows() const { return static_cast<int>(positions_.size()); }
  Tensor make(int rows, int64_t cols) { return arena_.make(rows, cols, sizeof(float)); }
  float* data(const Tensor& t) { return arena_.data<float>(t); }
  static RunSequence& sequence(const StepSequence& s) { return static_cast<RunSequence&>(*s.state); }

  void count_operations(const Product& product) {
    const auto count = static_cast<uint64_t>(2 * product.weight.rows * product.weight.cols * product.tokens);
    (wants_quantized(kernels_, *product.weight.type) ? int8_operations_ : float_operations_) += count;
  }

  // Scores and the sum of values, of every key that a query sees.
  void count_operations(const AttendShape& shape, int first_position, int count) {
    int64_t keys = 0;
    for (int t = 1; t <= count; ++t)
      keys += shape.window > 0 ? std::min(shape.window, first_position + t) : first_position + t;
    const int products = shape.spec.kind->vectors + 1;
    (layout_.type() == KvType::kQ8_0 ? int8_operations_ : float_operations_) +=
        static_cast<uint64_t>(2 * products * keys * shape.heads * shape.head_dim);
  }

  // Row-wise work: a few rows are not worth waking anybody.
  template <class Task>
  void for_rows(int count, Task&& task) {
    pool_.run((count + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t piece, int) {
      const int begin = static_cast<int>(piece) * kRowsAtOnce;
      for (int row = begin; row < std::min(count, begin + kRowsAtOnce); ++row) task(row);
    });
  }

  // `x` as the kernel of `w` wants it; the quantised form is made once, however many matrices multiply it.
  Activations activations(const Tensor& x, const Weight& w) {
    assert(w.cols == x.cols());
    Activations a;
    if (wants_quantized(kernels_, *w.type)) quantize(x, &a);
    a.f32 = data(x);
    return a;
  }

  // Those of the rows from `row` on. What was not quantised has null pointers, which stay null.
  static Activations rows_from(const Activations& x, int64_t row, int k) {
    if (x.outliers != nullptr) return x.from(row, k);
    Activations a;
    a.f32 = x.f32 + row * k;
    return a;
  }

  // Runs products_: their rows are cut into pieces and dealt to the threads.
  void multiply() {
    if (observer_ != nullptr) {
      for (const Product& product : products_) {
        observer_->inputs(product.weight, {product.x.f32, static_cast<size_t>(product.tokens * product.weight.cols)});
      }
    }
    for (const Product& product : products_) {
      if (product.tokens == 0) continue;
      bytes_read_ += static_cast<uint64_t>(product.weight.bytes());
      count_operations(product);
    }
    cut_products();
    pool_.run(static_cast<int64_t>(pieces_.size()), [&](int64_t index, int thread) {
      const Piece& piece = pieces_[static_cast<size_t>(index)];
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
      args.scratch = scratch_.thread(thread);
      if (index + 1 < static_cast<int64_t>(pieces_.size()))
        args.next = first_row(pieces_[static_cast<size_t>(index) + 1]);
      const MatmulKernel kernel = kernels_.matmul[w.type->ggml_id];
      if (kernel != nullptr) kernel(args);
      else matmul_decoded(kernels_, *w.type, args);
    });
  }

  const std::byte* first_row(const Piece& piece) const {
    const Weight& w = products_[static_cast<size_t>(piece.product)].weight;
    return w.data + piece.row * w.row_bytes();
  }

  // Makes pieces_ of products_.
  void cut_products() {
    const int64_t threads = pool_.threads();
    int64_t streamed = 0, cached = 0;  // bytes
    for (const Product& p : products_) {
      if (p.tokens <= kStreamedTokens) streamed += p.tokens > 0 ? p.weight.bytes() : 0;
      else cached += p.weight.bytes() * token_pieces(p);
    }
    // Rather small pieces than threads without any.
    const int64_t streamed_bytes =
        std::min(std::clamp(streamed / (threads * kPieces), kLeastStreamed, kMostStreamed), streamed / threads + 1);
    const int64_t cached_bytes = std::clamp(cached / (threads * kPieces), kLeastCached, kMostCached);
    int64_t cached_pieces = 0;
    for (const Product& p : products_) {
      if (p.tokens > kStreamedTokens) cached_pieces += row_pieces(p.weight, cached_bytes) * token_pieces(p);
    }
    const int64_t finer = cached_pieces > 0 ? (threads * kLeastPieces + cached_pieces - 1) / cached_pieces : 1;
    pieces_.clear();
    // By tokens first: a thread goes through all rows for its share of them, which are the rows that for_rows() deals
    // it.
    int64_t most = 1;
    for (int64_t group = 0; group < most; ++group) {
      for (size_t i = 0; i < products_.size(); ++i) {
        const Product& p = products_[i];
        if (p.tokens == 0) continue;
        const int64_t groups = token_pieces(p);
        most = std::max(most, groups);
        const int64_t tokens = ((p.tokens + groups - 1) / groups + kTokenAlign - 1) / kTokenAlign * kTokenAlign;
        const int64_t first = group * tokens;
        if (first >= p.tokens) continue;
        const int64_t count = p.tokens <= kStreamedTokens ? row_pieces(p.weight, streamed_bytes)
                                                          : row_pieces(p.weight, cached_bytes) * finer;
        const int64_t align = p.weight.type->block_elements > 1 ? kRowAlign : kFloatRowAlign;
        const int64_t rows = ((p.weight.rows + count - 1) / count + align - 1) / align * align;
        for (int64_t r = 0; r < p.weight.rows; r += rows) {
          pieces_.push_back({static_cast<int>(i), static_cast<int>(r),
                             static_cast<int>(std::min(p.weight.rows, r + rows)), static_cast<int>(first),
                             static_cast<int>(std::min(tokens, p.tokens - first))});
        }
      }
    }
  }
  static int64_t row_pieces(const Weight& w, int64_t bytes) { return (w.bytes() + bytes - 1) / bytes; }
  int64_t token_pieces(const Product& p) const {
    if (kernels_.matmul[p.weight.type->ggml_id] == nullptr) return 1;  // rows are decoded once
    return (p.tokens + kTokenGroup - 1) / kTokenGroup;
  }

  // task(expert, its first row, its rows) for every expert that was chosen.
  template <class Task>
  void for_experts(int experts, Task&& task) {
    for (int e = 0; e < experts; ++e) {
      const int first = first_row_[static_cast<size_t>(e)], count = first_row_[static_cast<size_t>(e) + 1] - first;
      if (count > 0) task(e, int64_t{first}, count);
    }
  }

  // task(token, row) for each of the `active` rows that a token's experts have.
  template <class Task>
  void for_choices(int tokens, int active, Task&& task) {
    for_rows(tokens, [&](int t) {
      for (int r = 0; r < active; ++r) task(t, row_of_[static_cast<size_t>(t * active + r)]);
    });
  }

  // The quantised activations of `x`, made once however many matrices multiply them.
  void quantize(const Tensor& x, Activations* out) {
    *out = quantized_memory(x);
    TensorArena::Slot& slot = arena_.slot(x);
    if (slot.quantized_valid) return;
    const Scope scope(profiler_, *this, "quantize");
    const float* values = data(x);
    const int k = static_cast<int>(x.cols());
    for_rows(x.rows(), [&](int row) { kernels_.quantize(values + int64_t{row} * k, k, out->from(row, k)); });
    slot.quantized_valid = true;
  }

  // Those of the experts' rows: copies of their tokens'.
  void gather_quantized(const Tensor& x, int active, const Tensor& gathered) {
    Activations from;
    quantize(x, &from);
    const Activations to = quantized_memory(gathered);
    const int k = static_cast<int>(x.cols());
    for_choices(x.rows(), active, [&](int t, int row) { copy_row(from.from(t, k), to.from(row, k), k); });
    arena_.slot(gathered).quantized_valid = true;
  }

  // Where a tensor's quantised activations lie.
  Activations quantized_memory(const Tensor& x) {
    const int k = static_cast<int>(x.cols());
    const auto size = static_cast<size_t>(x.rows()) * static_cast<size_t>(k);
    const auto words = static_cast<size_t>(x.rows()) * static_cast<size_t>(Activations::outlier_words(k));
    // A block of 32: the integers, d, sum, two parts and four pairs.
    const size_t half = size + size / kActivationBlock * (2 * sizeof(float) + 6 * sizeof(int16_t));
    std::byte* memory = arena_.slot(x).quantized.require(2 * half + words * sizeof(uint32_t));
    const auto lay = [size](std::byte* at) {
      Quantized part;
      part.q = reinterpret_cast<int8_t*>(at);
      part.d = reinterpret_cast<float*>(at + size);
      part.sum = part.d + size / kActivationBlock;
      part.half_sums = reinterpret_cast<int16_t*>(part.sum + size / kActivationBlock);
      part.pair_sums = part.half_sums + size / kActivationBlock * 2;
      return part;
    };
    return {data(x), lay(memory), lay(memory + half), reinterpret_cast<uint32_t*>(memory + 2 * half)};
  }

  static void copy_blocks(const Quantized& from, const Quantized& to, int count) {
    std::copy_n(from.q, count * kActivationBlock, to.q);
    std::copy_n(from.d, count, to.d);
    std::copy_n(from.sum, count, to.sum);
    std::copy_n(from.half_sums, count * 2, to.half_sums);
    std::copy_n(from.pair_sums, count * 4, to.pair_sums);
  }
  static void copy_row(const Activations& from, const Activations& to, int k) {
    copy_blocks(from.high, to.high, k / kActivationBlock);
    for (int w = 0; w < Activations::outlier_words(k); ++w) {
      to.outliers[w] = from.outliers[w];
      for (uint32_t left = from.outliers[w]; left != 0; left &= left - 1) {
        const int b = w * kOutlierWord + std::countr_zero(left);
        copy_blocks(from.residual.skip(b), to.residual.skip(b), 1);
      }
    }
  }

  // cos and sin of this step's positions: rope_table_[row] = {cos [pairs], sin [pairs]}. One table serves all layers.
  void compute_rope_table(const Rope& rope) {
    const auto pairs = static_cast<int>(rope.inverse_frequency.size());
    rope_table_.resize(positions_.size() * 2 * static_cast<size_t>(pairs));
    for_rows(rows(), [&](int row) {
      float* cosine = rope_table_.data() + int64_t{row} * 2 * pairs;
      for (int i = 0; i < pairs; ++i) {
        double s = 0, c = 0;
        sincos_f64(positions_[static_cast<size_t>(row)] * rope.inverse_frequency[static_cast<size_t>(i)], &s, &c);
        cosine[i] = static_cast<float>(c);
        cosine[pairs + i] = static_cast<float>(s);
      }
    });
    rope_for_ = &rope;
  }

  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvLayout layout_;
  PagePool pages_;
  AttendScratch scratch_;
  TensorArena arena_;
  std::vector<StepSequence> sequences_;
  std::vector<AttendSequence> attending_;
  std::vector<int> positions_;
  std::vector<Product> products_;
  std::vector<Piece> pieces_;
  std::vector<int> chosen_, first_row_, next_row_, row_of_;  // moe: expert of each choice; rows by expert
  std::vector<float> shares_;
  const Rope* rope_for_ = nullptr;
  std::vector<float> rope_table_;
  Tensor result_;  // held back until the next step
  uint64_t bytes_read_ = 0, int8_operations_ = 0, float_operations_ = 0;
  Profiler* profiler_ = nullptr;
};

}  // namespace

std::unique_ptr<RunOps> make_run_ops(const KernelTable& kernels, ThreadPool& pool, KvLayout layout) {
  return std::make_unique<RunOpsImpl>(kernels, pool, std::move(layout));
}

}  // namespace fieldprint
