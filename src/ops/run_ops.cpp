#include "ops/run_ops.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "attention/walk.h"
#include "base/math.h"
#include "kernels/select.h"
#include "kv/sequence.h"

namespace fieldprint {
namespace {

// Rows of a matrix are dealt to threads in pieces of about this many bytes: long enough to stream, short enough to share.
constexpr int64_t kPieceBytes = 32 << 10;
constexpr int kRowAlign = 16;  // pieces begin at whole panels of every ISA

struct RunSequence final : SequenceState {
  RunSequence(const KvLayout& layout, PagePool& pool) : kv(layout, pool) {}
  void truncate(int tokens) override { kv.truncate(tokens); }
  int64_t bytes() const override { return kv.bytes(); }
  KvSequence kv;
};

class RunOpsImpl final : public RunOps {
 public:
  RunOpsImpl(const KernelTable& kernels, ThreadPool& pool, std::vector<KvLayerShape> layers, int page_size)
      : kernels_(kernels), pool_(pool), layout_(std::move(layers), page_size), pages_(layout_.page_bytes()),
        scratch_(pool.threads()) {}

  std::unique_ptr<SequenceState> new_sequence() override { return std::make_unique<RunSequence>(layout_, pages_); }
  uint64_t bytes_read() const override { return bytes_read_; }

  void begin(std::span<const StepSequence> sequences) override {
    sequences_.assign(sequences.begin(), sequences.end());
    positions_.clear();
    rope_for_ = nullptr;
    result_ = Tensor();
    for (const StepSequence& s : sequences_) {
      const int count = static_cast<int>(s.tokens.size());
      for (int t = 0; t < count; ++t) positions_.push_back(s.first_position + t);
      kv(s).reserve(s.first_position + count);
    }
  }

  Tensor embed(const Weight& table) override {
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

  void linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) override {
    pieces_.clear();
    Activations activations;
    for (size_t i = 0; i < weights.size(); ++i) {
      const Weight& w = *weights[i];
      assert(w.cols == x.cols());
      y[i] = make(x.rows(), w.rows);
      bytes_read_ += static_cast<uint64_t>(w.bytes());
      if (wants_quantized(kernels_, *w.type)) quantize(x, &activations);
      const int64_t rows_in_piece = std::max<int64_t>(kRowAlign, kPieceBytes / w.row_bytes() / kRowAlign * kRowAlign);
      for (int64_t r = 0; r < w.rows; r += rows_in_piece) {
        pieces_.push_back({static_cast<int>(i), static_cast<int>(r), static_cast<int>(std::min(w.rows, r + rows_in_piece))});
      }
    }
    activations.f32 = data(x);
    pool_.run(static_cast<int64_t>(pieces_.size()), [&](int64_t index, int thread) {
      const Piece& piece = pieces_[static_cast<size_t>(index)];
      const Weight& w = *weights[static_cast<size_t>(piece.weight)];
      Matmul args;
      args.weights = w.data;
      args.row_bytes = w.row_bytes();
      args.k = static_cast<int>(w.cols);
      args.row_begin = piece.begin;
      args.row_end = piece.end;
      args.x = activations;
      args.tokens = x.rows();
      args.y = data(y[static_cast<size_t>(piece.weight)]);
      args.y_stride = w.rows;
      args.scratch = scratch_.thread(thread);
      const MatmulKernel kernel = kernels_.matmul[w.type->ggml_id];
      if (kernel != nullptr) kernel(args);
      else matmul_decoded(kernels_, *w.type, args);
    });
  }

  void add(Tensor& x, const Tensor& y) override {
    float* a = data(x);
    const float* b = data(y);
    arena_.slot(x).quantized_valid = false;
    for_rows(x.rows(), [&](int row) {
      for (int64_t i = row * x.cols(); i < (row + 1) * x.cols(); ++i) a[i] += b[i];
    });
  }

  void rope(Tensor& x, const Rope& rope, int heads) override {
    const auto pairs = static_cast<int>(rope.inverse_frequency.size());
    if (rope_for_ != &rope) compute_turns(rope);
    const int64_t d = x.cols() / heads;
    float* values = data(x);
    arena_.slot(x).quantized_valid = false;
    for_rows(x.rows(), [&](int row) {
      const float* cosine = turns_.data() + int64_t{row} * 2 * pairs;
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
    Tensor y = make(gate.rows(), gate.cols());
    const int n = static_cast<int>(gate.cols());
    for_rows(gate.rows(), [&](int row) {
      const int64_t at = int64_t{row} * n;
      kernels_.silu_mul(data(gate) + at, data(up) + at, n, data(y) + at);
    });
    return y;
  }

  Tensor attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v) override {
    Tensor y = make(q.rows(), q.cols());
    const int64_t kv_width = k.cols();
    int row = 0;
    for (const StepSequence& s : sequences_) {
      const int count = static_cast<int>(s.tokens.size());
      KvSequence& cache = kv(s);
      for_rows(count, [&](int t) {
        const int64_t at = (row + t) * kv_width;
        cache.write(shape.layer, s.first_position + t, data(k) + at, data(v) + at);
      });
      Attend args;
      args.kernels = &kernels_;
      args.kv = &cache;
      args.layer = shape.layer;
      args.q = data(q) + row * q.cols();
      args.out = data(y) + row * q.cols();
      args.tokens = count;
      args.first_position = s.first_position;
      args.heads = shape.heads;
      args.scale = shape.scale;
      fieldprint::attend(args, pool_, scratch_);
      bytes_read_ += static_cast<uint64_t>(s.first_position + count) * static_cast<uint64_t>(kv_width) * 2 * sizeof(uint16_t);
      row += count;
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
    result_ = std::move(x);
    return {data(result_), static_cast<size_t>(result_.rows() * result_.cols())};
  }

 private:
  struct Piece { int weight, begin, end; };

  int rows() const { return static_cast<int>(positions_.size()); }
  Tensor make(int rows, int64_t cols) { return arena_.make(rows, cols, sizeof(float)); }
  float* data(const Tensor& t) { return arena_.data<float>(t); }
  static KvSequence& kv(const StepSequence& s) { return static_cast<RunSequence&>(*s.state).kv; }

  // Row-wise work: one row is not worth waking anybody.
  template <class Task>
  void for_rows(int count, Task&& task) {
    pool_.run(count, [&](int64_t row, int) { task(static_cast<int>(row)); });
  }

  // The quantised activations of `x`, made once however many matrices multiply them.
  void quantize(const Tensor& x, Activations* out) {
    TensorArena::Slot& slot = arena_.slot(x);
    const auto tokens = static_cast<size_t>(x.rows()), k = static_cast<size_t>(x.cols()), blocks = k / kActivationBlock;
    std::byte* memory = slot.quantized.require(2 * tokens * k + tokens * blocks * (sizeof(float) + sizeof(int32_t) + 1));
    auto* d = reinterpret_cast<float*>(memory);
    auto* sum = reinterpret_cast<int32_t*>(d + tokens * blocks);
    auto* q = reinterpret_cast<int8_t*>(sum + tokens * blocks);
    auto* q_low = q + tokens * k;
    auto* fine = reinterpret_cast<uint8_t*>(q_low + tokens * k);
    if (!slot.quantized_valid) {
      const float* values = data(x);
      for_rows(x.rows(), [&](int row) {
        const auto t = static_cast<size_t>(row);
        quantize_activations(kernels_, values + t * k, static_cast<int>(k),
                             {q + t * k, q_low + t * k, d + t * blocks, sum + t * blocks, fine + t * blocks});
      });
      slot.quantized_valid = true;
    }
    *out = {nullptr, q, q_low, d, sum, fine};
  }

  // cos and sin of this step's positions: turns_[row] = {cos [pairs], sin [pairs]}. One table serves all layers.
  void compute_turns(const Rope& rope) {
    const auto pairs = static_cast<int>(rope.inverse_frequency.size());
    turns_.resize(positions_.size() * 2 * static_cast<size_t>(pairs));
    for_rows(rows(), [&](int row) {
      float* cosine = turns_.data() + int64_t{row} * 2 * pairs;
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
  std::vector<int> positions_;
  std::vector<Piece> pieces_;
  const Rope* rope_for_ = nullptr;
  std::vector<float> turns_;
  Tensor result_;  // held back until the next step
  uint64_t bytes_read_ = 0;
};

}  // namespace

std::unique_ptr<RunOps> make_run_ops(const KernelTable& kernels, ThreadPool& pool, std::vector<KvLayerShape> layers, int page_size) {
  return std::make_unique<RunOpsImpl>(kernels, pool, std::move(layers), page_size);
}

}  // namespace fieldprint
