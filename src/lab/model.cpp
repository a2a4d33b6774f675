#include "lab/model.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "lab/held_out.h"
#include "make/json_file.h"
#include "make/vocabulary.h"
#include "models/architecture.h"
#include "train/memory.h"

namespace fieldprint {
namespace {

constexpr KindRow kKinds[] = {
#define LAB_KIND(name, attention, normed, matched, about) {name, attention, normed, matched, about},
#include "lab/kinds.def"
#undef LAB_KIND
};

constexpr int kAnchorRows = 16;
constexpr float kAnchorShare = 0.25f;

std::string config(const LabSettings& settings, const KindRow& kind, int vocabulary) {
  if (settings.width < 1 || settings.heads < 1 || settings.width % settings.heads != 0 ||
      settings.width / settings.heads % 2 != 0) {
    throw Error(ErrorKind::kUsage,
                fmt::format("a width of {} cannot be cut into {} heads of even size", settings.width, settings.heads));
  }
  const int heads = settings.heads + (kind.matched ? std::max(1, (settings.heads + 2) / 4) : 0);
  const nlohmann::json config = {{"model_type", "lab"},
                                 {"vocab_size", vocabulary},
                                 {"hidden_size", settings.width},
                                 {"num_hidden_layers", settings.layers},
                                 {"num_attention_heads", heads},
                                 {"head_dim", settings.width / settings.heads},
                                 {"intermediate_size", settings.ffn},
                                 {"residual", settings.residual},
                                 {"norm", settings.norm ? "pre" : "none"},
                                 {"output_norm", settings.norm},
                                 {"head_norm", settings.head_norm || kind.normed ? "rms" : "none"},
                                 {"attention_bias", settings.bias},
                                 {"mlp_bias", settings.bias},
                                 {"positions", settings.rope ? "rope" : "none"},
                                 {"max_position_embeddings", std::max(settings.length, 4096)}};
  return config.dump();
}

uint64_t seed_of(std::string_view name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed * 0x9e3779b97f4a7c15u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// The length of the rows that a matrix multiplies; of a bias those of its matrix.
int64_t inputs_of(const PlannedTensor& tensor, const std::vector<PlannedTensor>& all) {
  if (tensor.row->draw != Draw::kBias) return tensor.shape.back();
  const std::string matrix = tensor.here.substr(0, tensor.here.rfind('.')) + ".weight";
  for (const PlannedTensor& one : all)
    if (one.here == matrix) return one.shape.back();
  return 1;
}

int64_t elements_of(const PlannedTensor& tensor) {
  int64_t count = 1;
  for (const int64_t length : tensor.shape) count *= length;
  return count;
}

std::vector<float> drawn(const PlannedTensor& tensor, int64_t inputs, const LabSettings& settings) {
  std::vector<float> values(static_cast<size_t>(elements_of(tensor)));
  Rng random(seed_of(tensor.here, settings.seed));
  const double bound = 1 / std::sqrt(static_cast<double>(inputs));
  for (float& value : values) {
    switch (tensor.row->draw) {
      case Draw::kUnit:
        value = settings.embedding_deviation * random.normal();
        break;
      case Draw::kAnchorKeys:
        value = random.normal();
        break;
      case Draw::kNorm:
      case Draw::kOutputNorm:
        value = 1;
        break;
      default:
        value = static_cast<float>(bound * (2 * random.uniform() - 1));
    }
  }
  return values;
}

// A token of a task that is drawn is a letter, where there are enough: a prompt for `run` can be typed.
void set_vocabulary(GgufWriter& writer, const LabSettings& settings, int vocabulary) {
  if (!settings.tokenizer.empty()) {
    copy_vocabulary(writer, *GgufFile::open(settings.tokenizer), vocabulary);
    return;
  }
  if (vocabulary >= kByteTokens) {
    set_byte_vocabulary(writer, vocabulary, "gpt-2");
    return;
  }
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
  std::vector<std::string> tokens;
  for (int i = 0; i < vocabulary; ++i) {
    const auto at = static_cast<size_t>(i);
    tokens.push_back(at < kLetters.size() ? std::string(1, kLetters[at]) : fmt::format("<{}>", i));
  }
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", "gpt-2");
  writer.set("tokenizer.ggml.tokens", std::move(tokens));
  writer.set("tokenizer.ggml.token_type", std::vector<int32_t>(static_cast<size_t>(vocabulary), 1));
  writer.set("tokenizer.ggml.merges", std::vector<std::string>{});
  writer.set("tokenizer.ggml.add_bos_token", false);
}

// All that a run takes, before any of it is taken.
void require_room(const LabSettings& settings, const Hyperparameters& hp, int64_t elements) {
  const int64_t length = settings.length, tokens = settings.batch * length;
  const int64_t together = std::min(tokens, std::max<int64_t>(kMicroBatchTokens, length));
  constexpr int64_t kSequenceToken = 2 * sizeof(TokenId) + 2 * sizeof(float);  // drawn, weighed, its loss
  const TrainMemory memory = memory_of(hp, {.file_bytes = static_cast<uint64_t>(elements) * sizeof(float),
                                            .trained = elements,
                                            .moments = 2,
                                            .micro_batches = (tokens + together - 1) / together,
                                            .tokens = together,
                                            .learned = together});
  const uint64_t needed = memory.total() +
                          static_cast<uint64_t>((tokens + settings.held_out * length) * kSequenceToken) +
                          static_cast<uint64_t>(settings.steps) * sizeof(LabPoint);
  const uint64_t left = available_memory();
  if (left == 0 || needed <= left) return;
  constexpr double kGib = 1 << 30;
  throw Error(ErrorKind::kLimit,
              fmt::format("this takes about {:.1f} GiB of memory, and {:.1f} GiB are left",
                          static_cast<double>(needed) / kGib, static_cast<double>(left) / kGib),
              {}, "a smaller model, shorter or fewer sequences (--length, --batch, --held-out)");
}

std::vector<uint64_t> file_shape(const PlannedTensor& tensor) { return {tensor.shape.rbegin(), tensor.shape.rend()}; }

}  // namespace

const KindRow& lab_kind(std::string_view name) {
  std::string known;
  for (const KindRow& row : kKinds) {
    if (row.name == name) return row;
    known += fmt::format(" {}", row.name);
  }
  throw Error(ErrorKind::kUsage, fmt::format("there is no kind '{}'", name), {}, "kinds:" + known);
}

std::span<const LabName> lab_kinds() {
  static const auto names = [] {
    std::vector<LabName> all;
    for (const KindRow& row : kKinds) all.push_back({row.name, row.about});
    return all;
  }();
  return names;
}

std::vector<std::byte> new_lab_model(const LabSettings& settings, int vocabulary) {
  const KindRow& kind = lab_kind(settings.kind);
  auto [row, hp, type] = read_config(JsonFile::parse(config(settings, kind, vocabulary), "the lab's model"));
  const AttentionKind* attention = find_attention_kind(kind.attention);
  if (attention == nullptr) throw Error(ErrorKind::kUsage, fmt::format("there is no attention '{}'", kind.attention));
  for (LayerPlan& layer : hp.plan) {
    layer.attention = attention;
    layer.anchors = attention->anchors ? kAnchorRows : 0;
  }
  hp.anchor_share = kAnchorShare;
  const std::vector<PlannedTensor> planned = tensors_of(row->tensors, hp);
  int64_t elements = 0;
  for (const PlannedTensor& tensor : planned) elements += tensor.wanted ? elements_of(tensor) : 0;
  require_room(settings, hp, elements);

  GgufWriter writer;
  writer.set("general.architecture", row->name);
  writer.set("general.name", fmt::format("lab {} {}", settings.task, settings.kind));
  row->write(MetadataWriter(writer, row->name), hp);
  set_vocabulary(writer, settings, vocabulary);
  std::vector<std::vector<float>> values;
  values.reserve(planned.size());
  for (const PlannedTensor& tensor : planned) {
    if (!tensor.wanted) continue;
    values.push_back(drawn(tensor, inputs_of(tensor, planned), settings));
    writer.add_tensor(tensor.here, *find_quant_type("F32"), file_shape(tensor),
                      std::as_bytes(std::span(values.back())));
  }
  return writer.bytes();
}

bool trained_in_lab(const std::string& tensor) { return tensor.find("attn_anchor") == std::string::npos; }

void save_lab_model(const Trainable& model, const std::string& path) {
  GgufWriter writer;
  for (const auto& [key, value] : model.file().metadata()) writer.copy(key, value);
  for (const GgufTensor& tensor : model.file().tensors()) {
    std::span<const std::byte> data(tensor.data, tensor.bytes);
    for (const TrainedTensor& trained : model.tensors()) {
      if (trained.name == tensor.name)
        data = std::as_bytes(std::span(trained.values, static_cast<size_t>(trained.count)));
    }
    writer.add_tensor(std::string(tensor.name), *tensor.type,
                      {tensor.shape.begin(), tensor.shape.begin() + tensor.dims}, data);
  }
  writer.write(path);
}

}  // namespace fieldprint
