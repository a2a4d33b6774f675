#include "problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "attention/walk.h"
#include "base/rng.h"
#include "fieldprint/error.h"
#include "kernels/select.h"
#include "naive.h"

namespace fieldprint {
namespace {

constexpr int kChunk = 512;  // tokens a step of prefill, as sessions take them
constexpr int kPageSize = 64;
constexpr float kShare = 0.3f;
constexpr int kMaxKeys = 1 << 20;

}  // namespace

void check_attention(const AttentionTask& task) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorKind::kUsage, what); };
  const AttentionKind* kind = find_attention_kind(task.kind);
  if (kind == nullptr) refuse(fmt::format("there is no attention of kind '{}'", task.kind));
  if (task.keys < 1 || task.keys > kMaxKeys)
    refuse(fmt::format("{} keys: 1 to {} can be measured", task.keys, kMaxKeys));
  if (task.head_dim < 8 || task.head_dim > 256 || task.head_dim % 8 != 0)
    refuse(fmt::format("heads of {}: a multiple of 8 up to 256 is supported", task.head_dim));
  if (task.kv_heads < 1 || task.heads < task.kv_heads || task.heads % task.kv_heads != 0 ||
      task.heads / task.kv_heads > 48)
    refuse(fmt::format("{} heads cannot share {} K/V heads", task.heads, task.kv_heads));
  if (task.anchors < 1 || task.anchors > kMaxKeys) refuse(fmt::format("{} anchors", task.anchors));
  const KvLayout holds({{task.kv_heads, task.head_dim}}, kTile, kv_type(task.kv_type));  // or says why not
  if (!task.naive) return;
  if (kind != &dot_kind() && !kind->anchors) refuse(fmt::format("there is no naive form of {} here", task.kind));
  if (!has_blas())
    throw Error(ErrorKind::kUnsupported, "OpenBLAS is not installed", {}, "apt-get install libopenblas0");
}

namespace {

// One task, ready to be run again and again.
class Problem {
 public:
  Problem(const AttentionTask& task, std::string_view isa, ThreadPool& pool)
      : task_(task),
        kernels_(select_kernels(isa)),
        pool_(pool),
        layout_({{.kv_heads = task.kv_heads,
                  .head_dim = task.head_dim,
                  .key_squares = find_attention_kind(task.kind)->key_squares}},
                kPageSize, kv_type(task.kv_type)),
        pages_(layout_.page_bytes()),
        kv_(layout_, pages_),
        scratch_(pool.threads()),
        tokens_(task.decode ? 1 : task.keys) {
    Rng rng(1);
    const auto random = [&](int64_t n) {
      std::vector<float> x(static_cast<size_t>(n));
      for (float& value : x) value = rng.normal();
      return x;
    };
    const int64_t d = task.head_dim, kv_width = task.kv_heads * d;
    spec_.kind = find_attention_kind(task.kind);
    spec_.scale = static_cast<float>(spec_.kind->scale(task.head_dim));
    q_ = random(tokens_ * task.heads * d);
    if (spec_.kind->third_projection) r_ = random(tokens_ * task.heads * d);
    out_.resize(q_.size());
    if (spec_.kind->anchors) {
      spec_.share = kShare;
      spec_.anchors = std::make_shared<AnchorRows>(random(task.anchors * kv_width), random(task.anchors * kv_width),
                                                   task.kv_heads, task.head_dim);
      spec_.anchor_scale = spec_.scale;
    }
    auto k = random(task.keys * kv_width), v = random(task.keys * kv_width);
    if (task.naive) {
      k_ = std::move(k);
      v_ = std::move(v);
      return;
    }
    kv_.reserve(0, task.keys);
    for (int j = 0; j < task.keys; ++j) kv_.write(0, j, k.data() + j * kv_width, v.data() + j * kv_width);
  }

  void run() {
    if (task_.naive) return run_naive();
    Attend args;
    args.kernels = &kernels_;
    args.spec = spec_;
    args.heads = task_.heads;
    const int before = task_.keys - tokens_;
    const int64_t row = int64_t{task_.heads} * task_.head_dim;
    for (int t = 0; t < tokens_; t += kChunk) {
      const AttendSequence sequence{.kv = &kv_,
                                    .q = q_.data() + t * row,
                                    .r = r_.empty() ? nullptr : r_.data() + t * row,
                                    .out = out_.data() + t * row,
                                    .tokens = std::min(kChunk, tokens_ - t),
                                    .first_position = before + t};
      args.sequences = {&sequence, 1};
      attend(args, pool_, scratch_);
    }
  }

  // [tokens, heads, head_dim]
  const std::vector<float>& output() const { return out_; }

  AttentionRow row() const {
    const double h = task_.heads, d = task_.head_dim, n = task_.keys;
    const double pairs = task_.decode ? n : n * (n + 1) / 2, anchor_pairs = spec_.kind->anchors ? task_.anchors : 0;
    const double products = spec_.kind->vectors + 1;
    AttentionRow row;
    row.task = task_;
    const bool in_bytes = layout_.type() == KvType::kQ8_0 && !task_.naive;
    (in_bytes ? row.int8_operations : row.float_operations) = h * d * 2 * products * (pairs + anchor_pairs * tokens_);
    double keys_read = n;  // by decode; prefill reads all keys before it once a chunk
    if (!task_.decode) {
      keys_read = 0;
      for (int t = 0; t < tokens_; t += kChunk) keys_read += std::min(t + kChunk, tokens_);
    }
    row.bytes = keys_read * task_.kv_heads * static_cast<double>(layout_.pair_bytes(0));
    row.extra_bytes = task_.naive ? scores_.capacity() * sizeof(float)
                                  : scratch_.states.capacity() * sizeof(SoftmaxState) +
                                        scratch_.outputs.capacity() * sizeof(float) +
                                        static_cast<size_t>(pool_.threads()) * kScratchBytes;
    return row;
  }

 private:
  void run_naive() {
    NaiveAttention args;
    args.kernels = &kernels_;
    args.q = q_.data(), args.k = k_.data(), args.v = v_.data(), args.out = out_.data();
    args.tokens = tokens_, args.first = task_.keys - tokens_;
    args.heads = task_.heads, args.kv_heads = task_.kv_heads, args.d = task_.head_dim;
    args.scale = spec_.scale, args.share = spec_.share, args.anchor_scale = spec_.anchor_scale;
    if (spec_.anchors != nullptr) {
      args.anchors = spec_.anchors->count();
      args.anchor_keys = spec_.anchors->keys().data();
      args.anchor_values = spec_.anchors->values().data();
    }
    attend_naive(args, pool_, scores_);
  }

  AttentionTask task_;
  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvLayout layout_;
  PagePool pages_;
  KvSequence kv_;
  AttendScratch scratch_;
  int tokens_;
  AttentionSpec spec_;
  std::vector<float> q_, r_, k_, v_, out_, scores_;
};

// A naive form has to compute what the walk beside it does, but for the rounding of its keys and values.
void check_alike(const AttentionTask& task, const Problem& naive, const Problem& walk) {
  const double tolerance = task.kv_type == "f16" ? 0.01 : 0.05;
  double most = 0, furthest = 0;
  for (size_t i = 0; i < naive.output().size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(naive.output()[i])));
    furthest = std::max(furthest, std::abs(static_cast<double>(naive.output()[i]) - walk.output()[i]));
  }
  if (!(furthest <= tolerance * most))
    throw Error(ErrorKind::kUnsupported,
                fmt::format("naive {} attention differs from the walk by {:.3g} of {:.3g}", task.kind, furthest, most));
}

}  // namespace

std::vector<AttentionRow> measure_attention(std::span<const AttentionTask> tasks, std::string_view isa,
                                            ThreadPool& pool, int repeats) {
  if (repeats < 1) throw Error(ErrorKind::kUsage, "a benchmark wants at least one repeat");
  for (const AttentionTask& task : tasks) check_attention(task);
  std::vector<std::unique_ptr<Problem>> problems;
  for (const AttentionTask& task : tasks) problems.push_back(std::make_unique<Problem>(task, isa, pool));
  std::vector<std::vector<double>> seconds(tasks.size());
  for (int repeat = 0; repeat <= repeats; ++repeat) {  // the first warms up
    for (size_t i = 0; i < tasks.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      problems[i]->run();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      if (repeat > 0) seconds[i].push_back(taken.count());
    }
  }
  for (size_t i = 1; i < tasks.size(); ++i) {
    if (tasks[i].naive && !tasks[i - 1].naive) check_alike(tasks[i], *problems[i], *problems[i - 1]);
  }
  std::vector<AttentionRow> rows;
  for (size_t i = 0; i < tasks.size(); ++i) {
    AttentionRow row = problems[i]->row();
    row.seconds = seconds[i];
    std::sort(seconds[i].begin(), seconds[i].end());
    row.median = seconds[i][seconds[i].size() / 2];
    row.least = seconds[i].front();
    row.most = seconds[i].back();
    rows.push_back(row);
  }
  return rows;
}

}  // namespace fieldprint
