// Models of random weights. The scales: every matrix keeps the size of what it is given (deviation 1 / sqrt(inputs)),
// what is added to the residual stream is 1 / sqrt(8 layers) of that. Embeddings are of deviation 1: a stream that the
// layers made nearly alone would amplify every rounding, and two engines would not agree on it. The last norm's weights
// have random signs, or a tied embedding would answer each token with itself; they make logits of deviation 2.
#include "fieldprint/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "attention/kind.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "make/json_file.h"
#include "make/mixes.h"
#include "make/vocabulary.h"
#include "models/architecture.h"
#include "quant/random_blocks.h"

namespace fieldprint {
namespace {

constexpr int kAnchorRows = 128;

struct Made {
  std::string name;
  std::vector<uint64_t> shape;  // fastest first
  float deviation;
  float mean = 0;  // other than 0: a norm's weights, decays
  int layer = -1;
  std::vector<float> given = {};  // other than empty: the values
};

float deviation_of(const PlannedTensor& tensor, const Hyperparameters& hp) {
  const auto keeping = [](int64_t inputs) { return 1.0f / std::sqrt(static_cast<float>(inputs)); };
  const float residual = 0.5f / std::sqrt(2.0f * static_cast<float>(hp.layers));
  constexpr float kSwiGlu = 0.6f;  // deviation of silu(g) * u where those of g and u are 1
  const int64_t inputs = tensor.shape.back();
  switch (tensor.row->draw) {
    case Draw::kMatrix:
      return keeping(inputs);
    case Draw::kResidual:
      return keeping(inputs) * residual;
    case Draw::kDown: {
      // The mean of the active experts, which are independent, is smaller than each.
      const float mixed = tensor.shape.size() == 3 ? keeping(hp.experts_used) : 1.0f;
      return keeping(inputs) * residual / (kSwiGlu * mixed);
    }
    case Draw::kNorm:
      return 0.1f;
    case Draw::kOutputNorm:
      return 2.0f * keeping(inputs);
    case Draw::kUnit:
      return 1.0f;
    case Draw::kBias:
      return 0.01f;
    case Draw::kDecay:
      return 0.2f;
    case Draw::kAnchorKeys:
      return keeping(hp.head_dim);
  }
  return 0;
}

float mean_of(const PlannedTensor& tensor) {
  return tensor.row->draw == Draw::kNorm ? 1.0f : tensor.row->draw == Draw::kDecay ? -1.0f : 0.0f;
}

// Every layer that attends does so by `kind`.
void set_kind(Hyperparameters& hp, const AttentionKind& kind) {
  for (LayerPlan& layer : hp.plan) {
    if (layer.attention == nullptr) continue;
    layer.attention = &kind;
    layer.anchors = kind.anchors ? kAnchorRows : 0;
  }
  hp.gram_norm = kind.wants_r();
  hp.anchor_share = 0.25f;
}

const Preset& preset_named(const std::string& name) {
  for (const ArchitectureRow* row : architectures()) {
    for (const Preset& preset : row->presets) {
      if (preset.name == name) return preset;
    }
  }
  std::string known;
  for (const SynthPreset& one : synth_presets()) known += fmt::format(" {}", one.name);
  throw Error(ErrorKind::kUsage, name.empty() ? "which preset?" : fmt::format("there is no preset {}", name), {},
              "presets:" + known);
}

const AttentionKind& kind_named(const std::string& name) {
  if (const AttentionKind* kind = find_attention_kind(name)) return *kind;
  std::string known;
  for (const AttentionKind& one : attention_kinds()) known += fmt::format(" {}", one.name);
  throw Error(ErrorKind::kUsage, fmt::format("there is no attention of kind '{}'", name), {}, "kinds:" + known);
}

// All that is settled before the first weight is made.
struct Job {
  const Mix* mix;
  std::vector<Made> tensors;
  std::vector<const QuantType*> types;  // of each tensor
  GgufWriter writer;
  SynthPlan plan;

  explicit Job(const SynthOptions& options) {
    const Preset& preset = preset_named(options.preset);
    mix = &mix_named(options.mix);
    auto [row, hp, hugging_face] = read_config(JsonFile::parse(preset.config, std::string(preset.name)));
    if (!options.attention_kind.empty()) set_kind(hp, kind_named(options.attention_kind));
    writer.set("general.architecture", row->name);
    writer.set("general.name", fmt::format("{} of random weights, seed {}", preset.name, options.seed));
    writer.set("general.file_type", mix->file_type);
    writer.set("general.quantization_version", uint32_t{2});
    row->write(MetadataWriter(writer, row->name), hp);
    if (hp.token_types > 0) writer.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(hp.token_types));
    if (options.vocabulary.empty()) set_byte_vocabulary(writer, hp.vocabulary, preset.pre_tokenizer);
    else copy_vocabulary(writer, *GgufFile::open(options.vocabulary), hp.vocabulary);
    for (const PlannedTensor& one : tensors_of(row->tensors, hp)) {
      if (!one.wanted) continue;
      tensors.push_back({one.here,
                         {one.shape.rbegin(), one.shape.rend()},
                         deviation_of(one, hp),
                         mean_of(one),
                         one.layer,
                         one.row->values != nullptr ? one.row->values(hp) : std::vector<float>()});
    }
    for (const Made& made : tensors) {
      const QuantType& wanted = stays_f32(made.name, static_cast<int>(made.shape.size()))
                                    ? *find_quant_type("F32")
                                    : mix_type(*mix, made.name, hp.tied, made.layer, hp.layers);
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
    if (!tensor.given.empty()) {
      sink(std::as_bytes(std::span(tensor.given)));
      report(tensor.name, bytes);
      return;
    }
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
    std::vector<SynthPreset> all;
    for (const ArchitectureRow* row : architectures()) {
      for (const Preset& preset : row->presets) all.push_back({preset.name, preset.about});
    }
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
