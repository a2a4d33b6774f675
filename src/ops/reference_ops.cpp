#include "ops/reference_ops.h"

#include <algorithm>
#include <cmath>

#include "attention/reference.h"
#include "base/math.h"

namespace fieldprint {
namespace {

// All that was seen so far, a row a position for each layer: K and V [kv_heads * head_dim], convolution inputs u
// [conv_width].
struct ReferenceSequence final : SequenceState {
  explicit ReferenceSequence(const std::vector<KvLayerShape>& layers)
      : shapes(layers), k(layers.size()), v(layers.size()), u(layers.size()) {}

  int truncate(int tokens) override {
    spans.truncate(tokens);
    for (size_t i = 0; i < shapes.size(); ++i) {
      const auto n = static_cast<size_t>(int64_t{tokens} * shapes[i].kv_heads * shapes[i].head_dim);
      k[i].resize(std::min(k[i].size(), n));
      v[i].resize(std::min(v[i].size(), n));
      u[i].resize(std::min(u[i].size(), static_cast<size_t>(int64_t{tokens} * shapes[i].conv_width)));
    }
    return 0;
  }
  std::unique_ptr<SequenceState> fork() const override { return std::make_unique<ReferenceSequence>(*this); }
  int64_t bytes() const override {
    size_t total = 0;
    for (size_t i = 0; i < shapes.size(); ++i) total += (k[i].size() + v[i].size() + u[i].size()) * sizeof(double);
    return static_cast<int64_t>(total);
  }

  const std::vector<KvLayerShape>& shapes;
  std::vector<std::vector<double>> k, v, u;
};

class ReferenceOps final : public Ops {
 public:
  explicit ReferenceOps(std::vector<KvLayerShape> layers) : layers_(std::move(layers)) {}

  std::unique_ptr<SequenceState> new_sequence() override { return std::make_unique<ReferenceSequence>(layers_); }

  void begin(std::span<const StepSequence> sequences) override {
    sequences_.assign(sequences.begin(), sequences.end());
    rows_ = 0;
    for (const StepSequence& s : sequences_) rows_ += static_cast<int>(s.tokens.size());
  }

  Tensor embed(const Weight& table) override {
    Tensor y = make(rows_, table.cols);
    double* out = data(y);
    for (const StepSequence& s : sequences_) {
      for (const TokenId token : s.tokens) {
        const float* row = decoded_row(table, token);
        out = std::copy(row, row + table.cols, out);
      }
    }
    return y;
  }

  Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) override {
    Tensor y = make(x.rows(), x.cols());
    const int64_t n = weight.cols;
    const std::vector<float> w(decoded_row(weight, 0), decoded_row(weight, 0) + n);
    for (int64_t begin = 0; begin < x.rows() * x.cols(); begin += n) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += data(x)[begin + i] * data(x)[begin + i];
      const double scale = 1.0 / std::sqrt(sum / static_cast<double>(n) + static_cast<double>(eps));
      for (int64_t i = 0; i < n; ++i)
        data(y)[begin + i] = data(x)[begin + i] * scale * static_cast<double>(w[static_cast<size_t>(i)]);
    }
    return y;
  }

  using Ops::linear;
  void linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) override {
    for (size_t i = 0; i < weights.size(); ++i) {
      const Weight& w = *weights[i];
      y[i] = make(x.rows(), w.rows);
      if (observer_ != nullptr) {
        const std::vector<float> inputs(data(x), data(x) + x.rows() * x.cols());
        observer_->inputs(w, inputs);
      }
      for (int64_t r = 0; r < w.rows; ++r) {
        const float* row = decoded_row(w, r);
        for (int t = 0; t < x.rows(); ++t) {
          const double* v = data(x) + t * x.cols();
          double sum = 0;
          for (int64_t c = 0; c < w.cols; ++c) sum += v[c] * static_cast<double>(row[c]);
          data(y[i])[t * w.rows + r] = sum;
        }
      }
    }
  }

  void add(Tensor& x, const Tensor& y) override {
    for (int64_t i = 0; i < x.rows() * x.cols(); ++i) data(x)[i] += data(y)[i];
  }

  void rope(Tensor& x, const Rope& rope, int heads) override {
    const int64_t d = x.cols() / heads;
    const auto pairs = static_cast<int64_t>(rope.inverse_frequency.size());
    int row = 0;
    for (const StepSequence& s : sequences_) {
      for (size_t t = 0; t < s.tokens.size(); ++t, ++row) {
        const double position = s.first_position + static_cast<double>(t);
        for (int h = 0; h < heads; ++h) {
          double* v = data(x) + row * x.cols() + h * d;
          for (int64_t i = 0; i < pairs; ++i) {
            double sine = 0, cosine = 0;
            sincos_f64(position * rope.inverse_frequency[static_cast<size_t>(i)], &sine, &cosine);
            const bool adjacent = rope.pairs == RopePairs::kAdjacent;
            double& a = v[adjacent ? 2 * i : i];
            double& b = v[adjacent ? 2 * i + 1 : i + pairs];
            const double turned = a * cosine - b * sine;
            b = a * sine + b * cosine;
            a = turned;
          }
        }
      }
    }
  }

  Tensor silu_mul(const Tensor& gate, const Tensor& up) override {
    Tensor y = make(gate.rows(), gate.cols());
    for (int64_t i = 0; i < gate.rows() * gate.cols(); ++i) {
      data(y)[i] = data(gate)[i] / (1.0 + std::exp(-data(gate)[i])) * data(up)[i];
    }
    return y;
  }

  Tensor attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor* r) override {
    Tensor y = make(q.rows(), q.cols());
    const int64_t d = shape.head_dim, kv_width = shape.kv_heads * d;
    const auto layer = static_cast<size_t>(shape.layer);
    int64_t row = 0;
    for (const StepSequence& s : sequences_) {
      auto& state = static_cast<ReferenceSequence&>(*s.state);
      const auto count = static_cast<int64_t>(s.tokens.size());
      state.k[layer].insert(state.k[layer].end(), data(k) + row * kv_width, data(k) + (row + count) * kv_width);
      state.v[layer].insert(state.v[layer].end(), data(v) + row * kv_width, data(v) + (row + count) * kv_width);
      for (int64_t t = 0; t < count; ++t, ++row) {
        const int end = s.first_position + static_cast<int>(t) + 1,
                  first = shape.window > 0 ? std::max(0, end - shape.window) : 0;
        for (int h = 0; h < shape.heads; ++h) {
          const int64_t at = row * q.cols() + h * d;
          const int kv_head = h / (shape.heads / shape.kv_heads);
          attend_reference<double>(
              shape.spec, shape.head_dim, kv_head, data(q) + at, r != nullptr ? data(*r) + at : nullptr,
              {state.k[layer].data() + kv_head * d, state.v[layer].data() + kv_head * d, kv_width, first, end},
              data(y) + at);
        }
      }
    }
    return y;
  }

  Tensor shortconv(int layer, const Tensor& bcz, const Weight& kernel) override {
    const int64_t width = bcz.cols() / 3, taps = kernel.rows;
    Tensor y = make(bcz.rows(), width);
    const auto* w = reinterpret_cast<const float*>(kernel.data);
    int64_t row = 0;
    for (const StepSequence& s : sequences_) {
      std::vector<double>& u = static_cast<ReferenceSequence&>(*s.state).u[static_cast<size_t>(layer)];
      for (size_t t = 0; t < s.tokens.size(); ++t, ++row) {
        const double* b = data(bcz) + row * bcz.cols();
        const double *c = b + width, *z = c + width;
        for (int64_t i = 0; i < width; ++i) u.push_back(b[i] * z[i]);
        const int64_t position = s.first_position + static_cast<int64_t>(t);
        for (int64_t i = 0; i < width; ++i) {
          double sum = 0;
          for (int64_t j = 0; j < taps; ++j) {
            const int64_t at = position - (taps - 1) + j;
            if (at >= 0) sum += static_cast<double>(w[j * width + i]) * u[static_cast<size_t>(at * width + i)];
          }
          data(y)[row * width + i] = c[i] * sum;
        }
      }
    }
    return y;
  }

  Tensor moe(const Tensor& x, const Moe& moe) override {
    const int64_t ffn = moe.gate.rows / moe.experts;
    Tensor y = make(x.rows(), x.cols());
    const Tensor scores = linear(x, moe.router);
    std::vector<int> chosen(static_cast<size_t>(moe.active));
    std::vector<double> shares(chosen.size());
    for (int t = 0; t < x.rows(); ++t) {
      double* s = data(scores) + t * moe.experts;
      for (int e = 0; e < moe.experts; ++e) s[e] = 1.0 / (1.0 + std::exp(-s[e]));
      choose_experts(s, reinterpret_cast<const float*>(moe.bias.data), moe.experts, moe.active, chosen.data(),
                     shares.data());
      Tensor token = make(1, x.cols());
      std::copy(data(x) + t * x.cols(), data(x) + (t + 1) * x.cols(), data(token));
      double* out = data(y) + t * x.cols();
      std::fill(out, out + x.cols(), 0.0);
      for (size_t r = 0; r < chosen.size(); ++r) {
        const int64_t e = chosen[r];
        const Tensor h =
            silu_mul(linear(token, moe.gate.slice(e * ffn, ffn)), linear(token, moe.up.slice(e * ffn, ffn)));
        const Tensor part = linear(h, moe.down.slice(e * x.cols(), x.cols()));
        for (int64_t i = 0; i < x.cols(); ++i) out[i] += shares[r] * data(part)[i];
      }
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
    const double* values = data(x);
    result_.resize(static_cast<size_t>(x.rows() * x.cols()));
    for (size_t i = 0; i < result_.size(); ++i) result_[i] = static_cast<float>(values[i]);
    return result_;
  }

 private:
  Tensor make(int rows, int64_t cols) { return arena_.make(rows, cols, sizeof(double)); }
  double* data(const Tensor& t) { return arena_.data<double>(t); }

  // The floats of one row; valid until the next call.
  const float* decoded_row(const Weight& w, int64_t row) {
    row_.resize(static_cast<size_t>(w.cols));
    w.type->decode(w.data + row * w.row_bytes(), row_.data(), w.cols);
    return row_.data();
  }

  std::vector<KvLayerShape> layers_;
  TensorArena arena_;
  std::vector<StepSequence> sequences_;
  int rows_ = 0;
  std::vector<float> row_, result_;
};

}  // namespace

std::unique_ptr<Ops> make_reference_ops(std::vector<KvLayerShape> layers) {
  return std::make_unique<ReferenceOps>(std::move(layers));
}

}  // namespace fieldprint
