// anchored, mixed form: o = (1 - g) softmax(q.K^T / sqrt(d)) V + g softmax(q.h^T anchor_scale) V_anchor, h the anchor
// keys. Its scores are those of dot; the second softmax is filled in the same walk (walk.cpp). The joint form, anchors
// as keys that come first in one softmax, is dot over pages that hold them and needs nothing here.
#include "attention/kind.h"

namespace fieldprint {

AttentionKind anchored() {
  AttentionKind kind = dot();
  kind.name = "anchored";
  kind.anchors = true;
  return kind;
}

struct AnchorRows::Pages {
  KvLayout layout;
  PagePool pool;
  KvSequence kv;

  Pages(int kv_heads, int d, KvType type)
      : layout({{kv_heads, d}}, kTile, type), pool(layout.page_bytes()), kv(layout, pool) {}
};

AnchorRows::AnchorRows(std::vector<float> keys, std::vector<float> values, int kv_heads, int d)
    : kv_heads_(kv_heads),
      d_(d),
      count_(static_cast<int>(keys.size()) / (kv_heads * d)),
      keys_(std::move(keys)),
      values_(std::move(values)) {}

AnchorRows::~AnchorRows() = default;

const KvSequence& AnchorRows::pages(KvType type) const {
  const auto i = static_cast<size_t>(type);
  std::call_once(made_[i], [&] {
    auto pages = std::make_unique<Pages>(kv_heads_, d_, type);
    pages->kv.reserve(0, count_);
    const int64_t width = int64_t{kv_heads_} * d_;
    for (int row = 0; row < count_; ++row)
      pages->kv.write(0, row, keys_.data() + row * width, values_.data() + row * width);
    pages_[i] = std::move(pages);
  });
  return pages_[i]->kv;
}

}  // namespace fieldprint
