#include "models/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// The entry of `layer` where the key is an array, its one value where it is not.
std::string_view kind_name(const GgufFile& file, const std::string& key, int layer) {
  const GgufValue* value = file.find(key);
  if (value == nullptr || value->kind != GgufKind::kArray) return file.string(key, dot_kind().name);
  const GgufArray* array = file.array(key);
  if (static_cast<uint64_t>(layer) >= array->strings.size()) {
    throw Error(ErrorKind::kBadFile, fmt::format("{} has {} names, too few for the layers", key, array->strings.size()),
                file.path());
  }
  return array->strings[static_cast<size_t>(layer)];
}

const AttentionKind& kind_of(const GgufFile& file, const std::string& key, int layer) {
  const std::string_view name = kind_name(file, key, layer);
  const AttentionKind* kind = find_attention_kind(name);
  if (kind != nullptr) return *kind;
  std::string known;
  for (const AttentionKind& one : attention_kinds()) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
  throw Error(ErrorKind::kUnsupported, fmt::format("{}: attention of kind '{}' is not supported", key, name),
              file.path(), "supported: " + known);
}

// A number of `low` .. `high`; one for all layers.
float number_within(const GgufFile& file, const std::string& key, double otherwise, double low, double high) {
  const double value = file.number(key, otherwise);
  if (!(value >= low && value <= high))
    throw Error(ErrorKind::kBadFile, fmt::format("{} is {}, expected {} to {}", key, value, low, high), file.path());
  return static_cast<float>(value);
}

constexpr double kMaxScale = 1e6;

}  // namespace

AttentionLayer::AttentionLayer(const GgufFile& file, const std::string& arch, const Sizes& sizes, TensorSource& source,
                               std::deque<std::vector<float>>& storage) {
  const auto key = [&](const char* part) { return fmt::format("{}.attention.{}", arch, part); };
  const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", sizes.layer, part); };
  const AttentionKind& kind = kind_of(file, key("kind"), sizes.layer);
  const int64_t q_width = int64_t{sizes.heads} * sizes.head_dim, kv_width = int64_t{sizes.kv_heads} * sizes.head_dim;
  q_ = source.matrix(name("attn_q"), q_width, sizes.width);
  k_ = source.matrix(name("attn_k"), kv_width, sizes.width);
  v_ = source.matrix(name("attn_v"), kv_width, sizes.width);
  o_ = source.matrix(name("attn_output"), sizes.width, q_width);
  if (kind.third_projection) r_ = source.matrix(name("attn_r"), q_width, sizes.width);
  if (sizes.head_norms) {
    q_norm_ = source.vector(name("attn_q_norm"), sizes.head_dim, storage);
    k_norm_ = source.vector(name("attn_k_norm"), sizes.head_dim, storage);
    if (kind.third_projection) r_norm_ = source.vector(name("attn_r_norm"), sizes.head_dim, storage);
  }
  if (kind.third_projection) {
    const std::string_view norm = file.string(key("gram.norm"), "none");
    if (norm != "none" && norm != "rms") {
      throw Error(ErrorKind::kBadFile, fmt::format("{} is '{}', expected none or rms", key("gram.norm"), norm),
                  file.path());
    }
    if (norm == "rms" && !sizes.head_norms) {  // with the file's own norms they are normed already
      const std::vector<float>& ones = storage.emplace_back(static_cast<size_t>(sizes.head_dim), 1.0f);
      q_norm_ = k_norm_ = r_norm_ = {"ones", find_quant_type("F32"), reinterpret_cast<const std::byte*>(ones.data()), 1,
                                     sizes.head_dim};
    }
  }
  shape_ = {.layer = sizes.layer,
            .window = sizes.window,
            .heads = sizes.heads,
            .kv_heads = sizes.kv_heads,
            .head_dim = sizes.head_dim,
            .spec = {.kind = &kind}};
  shape_.spec.scale = number_within(file, key("scale"), kind.scale(sizes.head_dim), 0, kMaxScale);
  if (!kind.anchors) return;
  shape_.spec.share = number_within(file, key("anchor.share"), 0.5, 0, 1);
  shape_.spec.anchor_scale = number_within(file, key("anchor.scale"), 1, 0, kMaxScale);
  const int count = static_cast<int>(file.tensor(name("attn_anchor_k")).shape[1] & 0xffffff);
  if (count < 1) throw Error(ErrorKind::kBadFile, name("attn_anchor_k") + " has no rows", file.path());
  const auto floats = [&](const std::string& tensor) {
    const Weight rows = source.matrix(tensor, count, kv_width);
    std::vector<float> values(static_cast<size_t>(rows.rows * rows.cols));
    for (int64_t i = 0; i < rows.rows; ++i)
      rows.type->decode(rows.data + i * rows.row_bytes(), values.data() + i * rows.cols, rows.cols);
    return values;
  };
  shape_.spec.anchors = std::make_shared<const AnchorRows>(floats(name("attn_anchor_k")), floats(name("attn_anchor_v")),
                                                           sizes.kv_heads, sizes.head_dim);
}

Tensor AttentionLayer::forward(Ops& ops, const Tensor& h, const Rope& rope, float eps) const {
  const Weight* weights[] = {&q_, &k_, &v_, &r_};
  const bool third = kind().third_projection;
  const size_t count = third ? 4 : 3;
  Tensor qkvr[4];
  ops.linear(h, std::span(weights, count), std::span(qkvr, count));
  const auto placed = [&](Tensor& x, const Weight& norm, int heads) {
    if (norm.type != nullptr) x = ops.rms_norm(x, norm, eps);
    ops.rope(x, rope, heads);
  };
  placed(qkvr[0], q_norm_, shape_.heads);
  placed(qkvr[1], k_norm_, shape_.kv_heads);
  if (third) placed(qkvr[3], r_norm_, shape_.heads);
  return ops.linear(ops.attend(shape_, qkvr[0], qkvr[1], qkvr[2], third ? &qkvr[3] : nullptr), o_);
}

}  // namespace fieldprint
