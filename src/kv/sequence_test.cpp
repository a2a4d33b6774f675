#include "kv/sequence.h"

#include <gtest/gtest.h>

#include "base/float16.h"

namespace fieldprint {
namespace {

TEST(KvSequence, WritesKeysTransposedAndValuesInRows) {
  const KvLayout layout({{2, 8}, {0, 0}, {1, 16}}, 4);
  PagePool pool(layout.page_bytes());
  KvSequence kv(layout, pool);
  kv.reserve(10);
  for (const int layer : {0, 2}) {
    const auto shape = layout.layer(layer);
    for (int p = 0; p < 10; ++p) {
      std::vector<float> k, v;
      for (int i = 0; i < shape.kv_heads * shape.head_dim; ++i) k.push_back(static_cast<float>(p * 100 + i)), v.push_back(static_cast<float>(-p * 100 - i));
      kv.write(layer, p, k.data(), v.data());
    }
  }
  for (const int layer : {0, 2}) {
    const auto shape = layout.layer(layer);
    for (int p = 0; p < 10; ++p) {
      for (int head = 0; head < shape.kv_heads; ++head) {
        for (int i = 0; i < shape.head_dim; ++i) {
          const auto expected = static_cast<float>(p * 100 + head * shape.head_dim + i);
          const uint16_t* page = kv.page(p / 4);
          EXPECT_EQ(half_to_float(page[layout.keys(layer, head) + i * 4 + p % 4]), half_to_float(float_to_half(expected)));
          EXPECT_EQ(half_to_float(page[layout.values(layer, head) + p % 4 * shape.head_dim + i]), half_to_float(float_to_half(-expected)));
        }
      }
    }
  }
}

TEST(KvSequence, MemoryIsTakenPageByPageAndReused) {
  const KvLayout layout({{1, 8}}, 16);
  PagePool pool(layout.page_bytes());
  {
    KvSequence kv(layout, pool);
    kv.reserve(1);
    EXPECT_EQ(pool.pages_used(), 1);
    kv.reserve(16);
    EXPECT_EQ(pool.pages_used(), 1);
    kv.reserve(17);
    EXPECT_EQ(pool.pages_used(), 2);
    EXPECT_EQ(kv.bytes(), 2 * layout.page_bytes());
    kv.truncate(16);
    EXPECT_EQ(pool.pages_used(), 1);
    kv.reserve(32);
    EXPECT_EQ(pool.pages_allocated(), 2);
  }
  EXPECT_EQ(pool.pages_used(), 0);
}

}  // namespace
}  // namespace fieldprint
