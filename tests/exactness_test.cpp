// No bit of a result changes unnoticed: SHA-256 of what weight types, kernels, the walk over keys and values and whole
// models give for fixed inputs. Every instruction set of this CPU must give the hash that scalar gives, and that is
// compared with tests/golden/exactness.txt.
//
// A new weight type or kind of attention has no line there yet: FIELDPRINT_RECORD=FILE appends to FILE the lines that
// this run computed. A line that is there already changes only where a change of results is meant, and is said so in
// the commit.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "attention/walk.h"
#include "base/cpu.h"
#include "base/float16.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "kernels/select.h"
#include "quant/random_blocks.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

// Results in the order in which they are added.
class Hash {
 public:
  template <class Number>
  Hash& add(const std::vector<Number>& values) {
    sha_.update(std::as_bytes(std::span(values)));
    return *this;
  }
  std::string hex() { return sha_.hex(); }

 private:
  Sha256 sha_;
};

// One test is one group of lines: those whose names begin with it.
class Exactness : public testing::Test {
 protected:
  void group(const std::string& prefix) {
    prefix_ = prefix + "/";
    std::ifstream file(golden_dir() / "exactness.txt");
    for (std::string name, hash; file >> name >> hash;) {
      if (name.starts_with(prefix_)) golden_[name] = hash;
    }
  }

  // `name` within the group, computed by `how`: an instruction set, scalar first.
  void check(const std::string& name, Hash& result, std::string_view how) {
    const std::string hash = result.hex();
    const auto [first, is_new] = computed_.emplace(prefix_ + name, hash);
    EXPECT_EQ(hash, first->second) << first->first << ": " << how << " differs from what came first";
    if (!is_new) return;
    EXPECT_EQ(hash, golden_[first->first]) << first->first << ": " << how << " differs from tests/golden/exactness.txt";
    if (const char* record = std::getenv("FIELDPRINT_RECORD"))
      std::ofstream(record, std::ios::app) << first->first << " " << hash << "\n";
  }

  void TearDown() override {
    if (IsSkipped()) return;
    for (const auto& [name, hash] : golden_) EXPECT_TRUE(computed_.contains(name)) << name << " is not computed";
  }

  template <class Task>
  static void for_each_isa(Task&& task) {
    for (const IsaRow& row : isa_rows()) {
      if (row.supported()) task(select_kernels(row.name));
    }
  }

 private:
  std::string prefix_;
  std::map<std::string, std::string> golden_, computed_;
};

std::vector<float> random_floats(uint64_t seed, size_t n, float size = 1) {
  Rng random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = random.normal() * size;
  return values;
}

// Every 131st value twenty times as large, so that some blocks have outliers.
std::vector<float> random_activations(uint64_t seed, size_t n) {
  auto values = random_floats(seed, n, 3);
  for (size_t i = 0; i < values.size(); i += 131) values[i] *= 20;
  return values;
}

std::vector<std::byte> random_weights(const QuantType& type, int64_t n) {
  Rng random(type.ggml_id + 1);
  std::vector<std::byte> blocks(type.bytes(static_cast<uint64_t>(n)));
  RandomBlocks(type, 0.1f).fill(random, blocks.data(), n);
  return blocks;
}

// Rows of activations, quantised by `kernels`.
struct QuantizedRows {
  struct Part {
    std::vector<int8_t> q;
    std::vector<float> d, sum;
    std::vector<int16_t> half_sums, pair_sums;
    explicit Part(size_t n) : q(n), d(n / 32), sum(n / 32), half_sums(n / 16), pair_sums(n / 8) {}
    Quantized view() { return {q.data(), d.data(), half_sums.data(), pair_sums.data(), sum.data()}; }
    void add_to(Hash& hash) const { hash.add(q).add(d).add(sum).add(half_sums).add(pair_sums); }
  };

  std::vector<float> x;
  Part high, residual;
  std::vector<uint32_t> outliers;

  QuantizedRows(const KernelTable& kernels, std::vector<float> values, int k)
      : x(std::move(values)), high(x.size()), residual(x.size()) {
    const auto tokens = static_cast<int>(x.size()) / k;
    outliers.resize(static_cast<size_t>(tokens * Activations::outlier_words(k)));
    for (int t = 0; t < tokens; ++t) kernels.quantize(x.data() + t * k, k, view().from(t, k));
  }
  Activations view() { return {x.data(), high.view(), residual.view(), outliers.data()}; }
};

// ---- Weight types

TEST_F(Exactness, Blocks) {
  group("blocks");
  const int n = 4096;
  const auto values = random_floats(1, n, 0.1f);
  auto importance = random_floats(2, n);
  for (float& weight : importance) weight *= weight;
  for (const QuantType& type : quant_types()) {
    std::vector<float> decoded(n);
    type.decode(random_weights(type, n).data(), decoded.data(), n);
    check(fmt::format("decode/{}", type.name), Hash().add(decoded), "decode");
    std::vector<std::byte> plain(type.bytes(n)), weighted(type.bytes(n));
    type.encode(values.data(), nullptr, plain.data(), n);
    type.encode(values.data(), importance.data(), weighted.data(), n);
    check(fmt::format("encode/{}", type.name), Hash().add(plain).add(weighted), "encode");
  }
}

// ---- Kernels

// 40 blocks a row are more than a panel, 41 rows are no multiple of any vector.
TEST_F(Exactness, Matmul) {
  group("matmul");
  const int k = 1280, rows = 41;
  std::vector<std::byte> memory(kScratchBytes + 64);
  void* scratch = memory.data();
  size_t room = memory.size();
  std::align(64, kScratchBytes, scratch, room);
  for (const QuantType& type : quant_types()) {
    const auto weights = random_weights(type, int64_t{rows} * k);
    for (const int tokens : {1, 4, 33}) {
      for_each_isa([&](const KernelTable& kernels) {
        QuantizedRows x(kernels, random_activations(3, static_cast<size_t>(tokens * k)), k);
        std::vector<float> y(static_cast<size_t>(tokens * rows));
        Matmul args;
        args.weights = weights.data();
        args.row_bytes = static_cast<int64_t>(type.bytes(k));
        args.k = k;
        args.row_end = rows;
        args.x = x.view();
        args.tokens = tokens;
        args.y = y.data();
        args.y_stride = rows;
        args.scratch = static_cast<std::byte*>(scratch);
        if (kernels.matmul[type.ggml_id] != nullptr) kernels.matmul[type.ggml_id](args);
        else matmul_decoded(kernels, type, args);
        check(fmt::format("{}/{}", type.name, tokens), Hash().add(y), kernels.name);
      });
    }
  }
}

TEST_F(Exactness, Vectors) {
  group("vectors");
  for_each_isa([&](const KernelTable& kernels) {
    for (const int n : {32, 576, 2048}) {
      const auto x = random_activations(4, static_cast<size_t>(n)), w = random_floats(5, static_cast<size_t>(n));
      std::vector<float> y(x.size());
      kernels.rms_norm(x.data(), w.data(), n, 1e-5f, y.data());
      check(fmt::format("rms_norm/{}", n), Hash().add(y), kernels.name);
      kernels.layer_norm(x.data(), w.data(), w.data(), n, 1e-12f, y.data());
      check(fmt::format("layer_norm/{}", n), Hash().add(y), kernels.name);
      kernels.gelu_erf(x.data(), n, y.data());
      check(fmt::format("gelu_erf/{}", n), Hash().add(y), kernels.name);
      kernels.silu_mul(x.data(), w.data(), n, y.data());
      check(fmt::format("silu_mul/{}", n), Hash().add(y), kernels.name);

      const QuantizedRows rows(kernels, x, n);
      Hash quantized;
      rows.high.add_to(quantized);
      rows.residual.add_to(quantized.add(rows.outliers));  // blocks without outliers stay zeros
      check(fmt::format("quantize/{}", n), quantized, kernels.name);

      std::vector<int8_t> q(x.size());
      std::vector<float> scales(x.size() / 32);
      std::vector<int32_t> sums(x.size() / 32);
      kernels.quantize_bytes(x.data(), n, q.data(), scales.data(), sums.data());
      check(fmt::format("quantize_bytes/{}", n), Hash().add(q).add(scales).add(sums), kernels.name);
    }
  });
}

// ---- Attention

// The last of `keys` positions as decode computes it, up to 50 before it as prefill does.
std::vector<float> attend_last(const KernelTable& kernels, const AttentionKind& kind, KvType type, int keys,
                               int window) {
  const int heads = 6, kv_heads = 2, d = 64, anchors = 70;
  const auto numbers = [&](uint64_t seed, int rows) { return random_floats(seed, static_cast<size_t>(rows * d)); };
  const auto q = numbers(1, keys * heads), r = numbers(2, keys * heads), k = numbers(3, keys * kv_heads),
             v = numbers(4, keys * kv_heads);
  Attend args;
  args.kernels = &kernels;
  args.spec.kind = &kind;
  args.spec.scale = static_cast<float>(kind.scale(d));
  if (kind.anchors) {
    args.spec.anchors =
        std::make_shared<AnchorRows>(numbers(5, anchors * kv_heads), numbers(6, anchors * kv_heads), kv_heads, d);
    args.spec.share = 0.3f;
  }
  args.heads = heads;
  args.window = window;
  const KvLayout layout({{kv_heads, d, kind.key_squares}}, kTile, type);
  PagePool pages(layout.page_bytes());
  KvSequence kv(layout, pages);
  ThreadPool pool(2);
  AttendScratch scratch(2);
  kv.reserve(0, keys);
  for (int t = 0; t < keys; ++t) kv.write(0, t, k.data() + t * kv_heads * d, v.data() + t * kv_heads * d);
  std::vector<float> out(q.size());
  for (const auto& [begin, end] : {std::pair(std::max(0, keys - 51), keys - 1), {keys - 1, keys}}) {
    if (begin == end) continue;
    AttendSequence sequence;
    sequence.kv = &kv;
    sequence.q = q.data() + begin * heads * d;
    sequence.r = r.data() + begin * heads * d;
    sequence.out = out.data() + begin * heads * d;
    sequence.tokens = end - begin;
    sequence.first_position = begin;
    args.sequences = {&sequence, 1};
    attend(args, pool, scratch);
  }
  return out;
}

// 600 keys are more than a split of 512.
TEST_F(Exactness, Attention) {
  group("attention");
  for (const AttentionKind& kind : attention_kinds()) {
    for (const char* type : {"f16", "bf16", "q8_0", "f32"}) {
      for (const auto& [keys, window] : {std::pair(1, 0), {70, 0}, {600, 0}, {200, 90}}) {
        for_each_isa([&](const KernelTable& kernels) {
          const auto out = attend_last(kernels, kind, kv_type(type), keys, window);
          check(fmt::format("{}/{}/{}{}", kind.name, type, keys, window > 0 ? "-window" : ""), Hash().add(out),
                kernels.name);
        });
      }
    }
  }
}

// ---- Models

class ModelExactness : public Exactness {
 protected:
  ModelExactness() { std::filesystem::create_directories(folder_); }
  ~ModelExactness() override { std::filesystem::remove_all(folder_); }

  std::string make(const char* preset, const char* mix, std::string_view kind) const {
    SynthOptions options;
    options.preset = preset;
    options.mix = mix;
    options.attention_kind = kind;
    const std::string file = (folder_ / "model.gguf").string();
    synth(file, options);
    return file;
  }

  // The logits of 40 tokens: 33 at once, then 4, then one at a time.
  static std::vector<float> logits(const std::string& file, const SessionOptions& options, std::string_view isa) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < 40; ++i) tokens.push_back((i * 97 + i / 7) % 256);
    Session session(Model::load(file, {.threads = 2, .isa = std::string(isa)}), options);
    std::vector<float> all;
    const auto keep = [&](int, std::span<const float> one) { all.insert(all.end(), one.begin(), one.end()); };
    size_t begin = 0;
    for (const size_t count : {33, 4, 1, 1, 1}) {
      session.append(std::span(tokens).subspan(begin, count), keep);
      begin += count;
    }
    return all;
  }

  void check_run(const std::string& name, const std::string& file, const SessionOptions& options) {
    for_each_isa([&](const KernelTable& kernels) {
      check(name, Hash().add(logits(file, options, kernels.name)), kernels.name);
    });
  }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / fmt::format("fieldprint-exactness-{}", ::getpid());
};

constexpr const char *kPresets[] = {"tiny-llama", "tiny-lfm2", "tiny-lfm2moe"},
                     *kMixes[] = {"Q4_K_M", "Q6_K", "Q8_0", "Q4_0"};
// Of the kind of attention that their config.json says.
constexpr const char* kOwnPresets[] = {"tiny-gpt2", "tiny-classic", "tiny-classic-post", "lab-dot",
                                       "lab-gram",  "lab-gram-key", "lab-full",          "lab-gelu"};

TEST_F(ModelExactness, Run) {
  group("run");
  for (const char* preset : kPresets) {
    for (const AttentionKind& kind : attention_kinds()) {
      for (const char* mix : kMixes)
        check_run(fmt::format("{}/{}/{}/f16", preset, mix, kind.name), make(preset, mix, kind.name), {});
      const std::string file = make(preset, "Q8_0", kind.name);
      for (const char* type : {"bf16", "q8_0", "f32"})
        check_run(fmt::format("{}/Q8_0/{}/{}", preset, kind.name, type), file, {.kv_type = type});
    }
  }
  for (const char* preset : kOwnPresets) {
    for (const char* mix : {"F32", "Q8_0"}) check_run(fmt::format("{}/{}", preset, mix), make(preset, mix, ""), {});
  }
}

// The reference takes the exp() of the C library, which has other code for CPUs without FMA.
TEST_F(ModelExactness, Reference) {
  if (!cpu_features().avx2) GTEST_SKIP() << "this CPU has no FMA";
  group("reference");
  for (const char* preset : kPresets) {
    for (const AttentionKind& kind : attention_kinds()) {
      for (const char* mix : kMixes) {
        const auto all = logits(make(preset, mix, kind.name), {.executor = "reference"}, "");
        check(fmt::format("{}/{}/{}", preset, mix, kind.name), Hash().add(all), "reference");
      }
    }
  }
}

}  // namespace
}  // namespace fieldprint
