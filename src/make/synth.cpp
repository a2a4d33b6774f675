// Models of random weights. The scales: every matrix keeps the size of what it is given (deviation 1 / sqrt(inputs)),
// what is added to the residual stream is 1 / sqrt(8 layers) of that. Embeddings are of deviation 1: a stream that the
// layers made nearly alone would amplify every rounding, and two engines would not agree on it. The last norm's weights
// have random signs, or a tied embedding would answer each token with itself; they make logits of deviation 2.
#include "fieldprint/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <sstream>

#include "attention/kind.h"
#include "base/atomic_file.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "make/mixes.h"
#include "make/vocabulary.h"
#include "quant/random_blocks.h"

namespace fieldprint {
namespace {

struct Shape {
  const char* name;
  const char* architecture;
  int layers, width, heads, kv_heads, ffn, vocabulary;
  const char* attention;  // layers; "" = all
  int dense, experts, active, expert_ffn, context;
  float rope_base;
  const char* pre;
  const char* about;

  bool has_attention(int layer) const {
    std::istringstream numbers{std::string(attention)};
    if (numbers.str().empty()) return true;
    for (int one; numbers >> one;) {
      if (one == layer) return true;
    }
    return false;
  }
};

constexpr Shape kShapes[] = {
#define SYNTH_PRESET(...) {__VA_ARGS__},
#include "make/synth_presets.def"
#undef SYNTH_PRESET
};

constexpr float kEpsilon = 1e-5f;
constexpr int kTaps = 3;
constexpr uint64_t kAnchors = 128;

struct Made {
  std::string name;
  std::vector<uint64_t> shape;
  float deviation;
  float mean = 0;  // other than 0: a norm's weights
  int layer = -1;
};

std::vector<Made> tensors_of(const Shape& shape, const AttentionKind& kind) {
  std::vector<Made> all;
  int layer = -1;
  const auto add = [&](const std::string& part, std::vector<uint64_t> lengths, float deviation, float mean = 0) {
    all.push_back(
        {layer < 0 ? part : fmt::format("blk.{}.{}", layer, part), std::move(lengths), deviation, mean, layer});
  };
  const auto norm = [&](const char* part, uint64_t n) { add(part, {n}, 0.1f, 1.0f); };
  const auto keeping = [](uint64_t inputs) { return 1.0f / std::sqrt(static_cast<float>(inputs)); };
  const float residual = 0.5f / std::sqrt(2.0f * static_cast<float>(shape.layers));
  constexpr float kSwiGlu = 0.6f;  // deviation of silu(g) * u where those of g and u are 1

  const bool is_llama = std::string_view(shape.architecture) == "llama";
  const auto width = static_cast<uint64_t>(shape.width), ffn = static_cast<uint64_t>(shape.ffn);
  const auto head = width / static_cast<uint64_t>(shape.heads);
  const auto kv_width = head * static_cast<uint64_t>(shape.kv_heads);
  add("token_embd.weight", {width, static_cast<uint64_t>(shape.vocabulary)}, 1.0f);
  add(is_llama ? "output_norm.weight" : "token_embd_norm.weight", {width}, 2.0f * keeping(width));
  for (layer = 0; layer < shape.layers; ++layer) {
    norm("attn_norm.weight", width);
    if (shape.has_attention(layer)) {
      add("attn_q.weight", {width, width}, keeping(width));
      add("attn_k.weight", {width, kv_width}, keeping(width));
      add("attn_v.weight", {width, kv_width}, keeping(width));
      add("attn_output.weight", {width, width}, keeping(width) * residual);
      if (!is_llama) {
        norm("attn_q_norm.weight", head);
        norm("attn_k_norm.weight", head);
      }
      if (kind.third_projection) {
        add("attn_r.weight", {width, width}, keeping(width));
        if (!is_llama) norm("attn_r_norm.weight", head);
      }
      if (kind.anchors) {
        add("attn_anchor_k.weight", {kv_width, kAnchors}, keeping(head));
        add("attn_anchor_v.weight", {kv_width, kAnchors}, 1.0f);
      }
    } else {
      add("shortconv.in_proj.weight", {width, 3 * width}, keeping(width));
      add("shortconv.conv.weight", {kTaps, width}, keeping(kTaps));
      add("shortconv.out_proj.weight", {width, width}, keeping(width) * residual);
    }
    norm("ffn_norm.weight", width);
    if (layer < shape.dense) {
      add("ffn_gate.weight", {width, ffn}, keeping(width));
      add("ffn_up.weight", {width, ffn}, keeping(width));
      add("ffn_down.weight", {ffn, width}, keeping(ffn) * residual / kSwiGlu);
      continue;
    }
    const auto experts = static_cast<uint64_t>(shape.experts), expert_ffn = static_cast<uint64_t>(shape.expert_ffn);
    // The mean of the active experts, which are independent, is smaller than each.
    const float mixed = keeping(static_cast<uint64_t>(shape.active));
    add("ffn_gate_inp.weight", {width, experts}, keeping(width));
    add("exp_probs_b.bias", {experts}, 0.01f);
    add("ffn_gate_exps.weight", {width, expert_ffn, experts}, keeping(width));
    add("ffn_up_exps.weight", {width, expert_ffn, experts}, keeping(width));
    add("ffn_down_exps.weight", {expert_ffn, width, experts}, keeping(expert_ffn) * residual / (kSwiGlu * mixed));
  }
  return all;
}

void set_metadata(GgufWriter& writer, const Shape& shape, const AttentionKind& kind, const Mix& mix,
                  const SynthOptions& options) {
  const std::string arch = shape.architecture;
  const auto set = [&](const char* key, int value) { writer.set(arch + "." + key, static_cast<uint32_t>(value)); };
  writer.set("general.architecture", arch);
  writer.set("general.name", fmt::format("{} of random weights, seed {}", shape.name, options.seed));
  writer.set("general.file_type", mix.file_type);
  writer.set("general.quantization_version", uint32_t{2});
  set("block_count", shape.layers);
  set("context_length", shape.context);
  set("embedding_length", shape.width);
  set("feed_forward_length", shape.ffn);
  set("attention.head_count", shape.heads);
  set("vocab_size", shape.vocabulary);
  writer.set(arch + ".rope.freq_base", shape.rope_base);
  writer.set(arch + ".attention.layer_norm_rms_epsilon", kEpsilon);
  if (arch == "llama") {
    set("attention.head_count_kv", shape.kv_heads);
    set("rope.dimension_count", shape.width / shape.heads);
  } else {
    std::vector<int32_t> kv_heads;
    for (int i = 0; i < shape.layers; ++i) kv_heads.push_back(shape.has_attention(i) ? shape.kv_heads : 0);
    writer.set(arch + ".attention.head_count_kv", kv_heads);
    set("shortconv.l_cache", kTaps);
  }
  if (&kind != &dot_kind()) writer.set(arch + ".attention.kind", kind.name);
  if (kind.third_projection) writer.set(arch + ".attention.gram.norm", "rms");
  if (kind.anchors) writer.set(arch + ".attention.anchor.share", 0.25f);
  if (shape.experts > 0) {
    constexpr int kSigmoid = 2;
    set("expert_count", shape.experts);
    set("expert_used_count", shape.active);
    set("expert_feed_forward_length", shape.expert_ffn);
    set("leading_dense_block_count", shape.dense);
    set("expert_gating_func", kSigmoid);
  }
  if (options.vocabulary.empty()) set_byte_vocabulary(writer, shape.vocabulary, shape.pre);
  else copy_vocabulary(writer, *GgufFile::open(options.vocabulary), shape.vocabulary);
}

// All that is settled before the first weight is made.
struct Job {
  const Mix* mix;
  std::vector<Made> tensors;
  std::vector<const QuantType*> types;  // of each tensor
  GgufWriter writer;
  SynthPlan plan;

  explicit Job(const SynthOptions& options) {
    const auto* shape = std::find_if(std::begin(kShapes), std::end(kShapes),
                                     [&](const Shape& one) { return options.preset == one.name; });
    if (shape == std::end(kShapes)) {
      std::string known;
      for (const SynthPreset& one : synth_presets()) known += fmt::format(" {}", one.name);
      throw Error(ErrorKind::kUsage,
                  options.preset.empty() ? "which preset?" : fmt::format("there is no preset {}", options.preset), {},
                  "presets:" + known);
    }
    mix = &mix_named(options.mix);
    const AttentionKind* kind =
        options.attention_kind.empty() ? &dot_kind() : find_attention_kind(options.attention_kind);
    if (kind == nullptr) {
      std::string known;
      for (const AttentionKind& one : attention_kinds()) known += fmt::format(" {}", one.name);
      throw Error(ErrorKind::kUsage, fmt::format("there is no attention of kind '{}'", options.attention_kind), {},
                  "kinds:" + known);
    }
    set_metadata(writer, *shape, *kind, *mix, options);
    tensors = tensors_of(*shape, *kind);
    for (const Made& made : tensors) {
      const QuantType& wanted = stays_f32(made.name, static_cast<int>(made.shape.size()))
                                    ? *find_quant_type("F32")
                                    : mix_type(*mix, made.name, true, made.layer, shape->layers);
      const QuantType& type = fitting_type(wanted, made.shape[0]);
      types.push_back(&type);
      uint64_t elements = 1;
      for (const uint64_t length : made.shape) elements *= length;
      plan.tensors.push_back({made.name, made.shape, std::string(type.name), type.bytes(elements)});
      plan.bytes += plan.tensors.back().bytes;
      plan.elements += elements;
    }
  }
};

// Makes one tensor after the other: pieces of a fixed size, each from random numbers of its own, dealt out to the
// threads.
class Maker {
 public:
  Maker(uint64_t seed, int threads, const Progress& progress, uint64_t total)
      : seed_(seed), pool_(threads > 0 ? threads : hardware_threads()), progress_(progress), total_(total) {}

  void make(const Made& tensor, const QuantType& type, uint64_t bytes, const GgufSink& sink) {
    const uint64_t seed = seed_of(tensor.name);
    if (tensor.mean != 0) {
      std::vector<float> values(bytes / sizeof(float));
      Rng random(seed);
      for (float& value : values) value = tensor.mean + tensor.deviation * 3.4641016f * (half_of(random.next()) - 0.5f);
      sink(std::as_bytes(std::span(values)));
      report(tensor.name, bytes);
      return;
    }
    const RandomBlocks blocks(type, tensor.deviation);
    const auto block_bytes = static_cast<uint64_t>(type.block_bytes);
    const uint64_t piece = kPieceBytes / block_bytes * block_bytes;
    const uint64_t slab = piece * static_cast<uint64_t>(pool_.threads()) * 4;
    for (uint64_t first = 0; first < bytes; first += slab) {
      const uint64_t count = std::min(slab, bytes - first);
      out_.resize(count);
      pool_.run(static_cast<int64_t>((count + piece - 1) / piece), [&](int64_t part, int) {
        const uint64_t begin = static_cast<uint64_t>(part) * piece, size = std::min(piece, count - begin);
        Rng random(seed + (first + begin) / piece * 0xd1342543de82ef95u);
        blocks.fill(random, out_.data() + begin, static_cast<int64_t>(size / block_bytes) * type.block_elements);
      });
      sink(out_);
      report(tensor.name, count);
    }
  }

 private:
  static constexpr uint64_t kPieceBytes = 1 << 18;

  static float half_of(uint64_t bits) { return static_cast<float>(bits >> 40) * 0x1p-24f; }  // [0, 1)

  // By the name, so that a tensor's weights do not depend on what stands before it.
  uint64_t seed_of(std::string_view name) const {
    uint64_t hash = 0xcbf29ce484222325u ^ seed_ * 0x9e3779b97f4a7c15u;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
  }

  void report(std::string_view what, uint64_t bytes) {
    done_ += bytes;
    if (progress_ && !progress_(what, done_, total_)) throw Error(ErrorKind::kLimit, "stopped; nothing was written");
  }

  uint64_t seed_;
  ThreadPool pool_;
  const Progress& progress_;
  uint64_t total_, done_ = 0;
  std::vector<std::byte> out_;
};

}  // namespace

std::span<const SynthPreset> synth_presets() {
  static const auto presets = [] {
    std::array<SynthPreset, std::size(kShapes)> all;
    for (size_t i = 0; i < all.size(); ++i) all[i] = {kShapes[i].name, kShapes[i].about};
    return all;
  }();
  return presets;
}

SynthPlan plan_synth(const SynthOptions& options) { return Job(options).plan; }

SynthPlan synth(const std::string& out, const SynthOptions& options, const Progress& progress) {
  Job job(options);
  require_room(out, job.plan.bytes);
  Maker maker(options.seed, options.threads, progress, job.plan.bytes);
  for (size_t i = 0; i < job.tensors.size(); ++i) {
    job.writer.add_tensor(job.tensors[i].name, *job.types[i], job.tensors[i].shape,
                          [&maker, &job, i](const GgufSink& sink) {
                            maker.make(job.tensors[i], *job.types[i], job.plan.tensors[i].bytes, sink);
                          });
  }
  job.writer.write(out);
  return job.plan;
}

}  // namespace fieldprint
