#include "kv/sequence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/float16.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

TEST(KvSequence, WritesKeysTransposedAndValuesInRows) {
  const KvLayout layout({{2, 8}, {0, 0}, {1, 16}}, 4);
  PagePool pool(layout.page_bytes());
  KvSequence kv(layout, pool);
  kv.reserve(0, 10);
  for (const int layer : {0, 2}) {
    const auto shape = layout.layer(layer);
    for (int p = 0; p < 10; ++p) {
      std::vector<float> k, v;
      for (int i = 0; i < shape.kv_heads * shape.head_dim; ++i)
        k.push_back(static_cast<float>(p * 100 + i)), v.push_back(static_cast<float>(-p * 100 - i));
      kv.write(layer, p, k.data(), v.data());
    }
  }
  for (const int layer : {0, 2}) {
    const auto shape = layout.layer(layer);
    for (int p = 0; p < 10; ++p) {
      for (int head = 0; head < shape.kv_heads; ++head) {
        for (int i = 0; i < shape.head_dim; ++i) {
          const auto expected = static_cast<float>(p * 100 + head * shape.head_dim + i);
          const auto* page = reinterpret_cast<const uint16_t*>(kv.entries()[static_cast<size_t>(p / 4)].page->data());
          EXPECT_EQ(half_to_float(page[layout.keys(layer, head) / 2 + i * 4 + p % 4]),
                    half_to_float(float_to_half(expected)));
          EXPECT_EQ(half_to_float(page[layout.values(layer, head) / 2 + p % 4 * shape.head_dim + i]),
                    half_to_float(float_to_half(-expected)));
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
    kv.reserve(0, 1);
    EXPECT_EQ(pool.pages_used(), 1);
    kv.reserve(0, 16);
    EXPECT_EQ(pool.pages_used(), 1);
    kv.reserve(0, 17);
    EXPECT_EQ(pool.pages_used(), 2);
    EXPECT_EQ(kv.bytes(), 2 * layout.page_bytes());
    kv.truncate(16);
    EXPECT_EQ(pool.pages_used(), 1);
    kv.reserve(0, 32);
    EXPECT_EQ(pool.pages_allocated(), 2);
  }
  EXPECT_EQ(pool.pages_used(), 0);
}

// Position p of every layer and head is filled with numbers that tell it apart.
void fill(KvSequence& kv, int begin, int end, float sign) {
  kv.reserve(begin, end);
  for (int layer = 0; layer < kv.layout().layers(); ++layer) {
    const auto count = static_cast<size_t>(kv.layout().layer(layer).kv_heads * kv.layout().layer(layer).head_dim);
    for (int p = begin; p < end; ++p) {
      std::vector<float> k(count), v(count);
      for (size_t i = 0; i < count; ++i)
        k[i] = sign * static_cast<float>(p + 1) * static_cast<float>(i % 17), v[i] = -k[i];
      kv.write(layer, p, k.data(), v.data());
    }
  }
}

std::vector<std::byte> position(const KvSequence& kv, int p) {
  std::vector<std::byte> bytes(static_cast<size_t>(kv.layout().bytes_per_token()));
  kv.copy_out(p, bytes);
  return bytes;
}

TEST(KvSequence, EightBitsKeepAScaleForThirtyTwoDimensions) {
  const KvLayout layout({{1, 64}}, 4, KvType::kQ8_0);
  EXPECT_EQ(layout.bytes_per_token(), 2 * (64 + 2 * 2));
  PagePool pool(layout.page_bytes());
  KvSequence kv(layout, pool);
  kv.reserve(0, 3);
  std::vector<float> k(64), v(64);
  for (int i = 0; i < 64; ++i) {
    k[static_cast<size_t>(i)] = std::sin(static_cast<float>(i)) * (i < 32 ? 1.0f : 1000.0f);
    v[static_cast<size_t>(i)] = i < 32 ? 0.0f : 1e30f;
  }
  kv.write(0, 2, k.data(), v.data());
  const std::byte* page = kv.entries()[0].page->data();
  const auto number = [&](int64_t block, int64_t at) { return reinterpret_cast<const int8_t*>(page + block)[at]; };
  const auto scale = [&](int64_t block, int i) {
    return half_to_float(reinterpret_cast<const uint16_t*>(page + block + layout.scales(0))[i / 32 * 4 + 2]);
  };
  const int64_t keys = layout.keys(0, 0), values = layout.values(0, 0);
  for (int i = 0; i < 64; ++i) {
    const float step = scale(keys, i);
    EXPECT_NEAR(step * number(keys, (i / 4 * 4 + 2) * 4 + i % 4), k[static_cast<size_t>(i)], 0.51f * step) << i;
    EXPECT_EQ(scale(values, i), i < 32 ? 0.0f : 65504.0f);  // what is too large stays finite
    EXPECT_EQ(number(values, i * 4 + 2), i < 32 ? 0 : 127);
  }
  EXPECT_THROW(KvLayout({{1, 48}}, 4, KvType::kQ8_0), Error);
}

TEST(KvSequence, KeepsTheSquareOfAKeyAsItIsStored) {
  for (const KvType type : {KvType::kF16, KvType::kBF16, KvType::kQ8_0, KvType::kF32}) {
    const KvLayout layout({{2, 32, true}}, 3, type);
    PagePool pool(layout.page_bytes());
    KvSequence kv(layout, pool);
    kv.reserve(0, 5);
    std::vector<float> k(64, 0.0f), v(64, 100.0f);
    k[1] = 3 + 1e-6f, k[31] = -4;  // in 16 bits rounding takes away what is beyond three digits
    k[32] = 0.5f;
    kv.write(0, 4, k.data(), v.data());
    for (const int head : {0, 1}) {
      float square;
      std::memcpy(&square, kv.entries()[1].page->data() + layout.squares(0, head) + 4, sizeof(square));
      if (type == KvType::kQ8_0 || type == KvType::kF32)
        EXPECT_NEAR(square, head == 0 ? 25 : 0.25f, head == 0 ? 0.2f : 1e-3f);
      else EXPECT_EQ(square, head == 0 ? 25 : 0.25f);
    }
  }
}

TEST(KvSequence, APositionsBytesAreTheSameForEveryPageSizeAndComeBack) {
  for (const KvType type : {KvType::kF16, KvType::kBF16, KvType::kQ8_0, KvType::kF32}) {
    const std::vector<KvLayerShape> layers = {{2, 32, true}, {.state_floats = 16, .state_replay = 2}, {1, 64}};
    const KvLayout small(layers, 3, type), large(layers, 64, type);
    EXPECT_EQ(small.bytes_per_token(), large.bytes_per_token());
    PagePool small_pool(small.page_bytes()), large_pool(large.page_bytes());
    KvSequence a(small, small_pool), b(large, large_pool), c(large, large_pool);
    fill(a, 0, 10, 1);
    fill(b, 0, 10, 1);
    c.reserve(0, 10);
    for (int p = 0; p < 10; ++p) {
      EXPECT_EQ(position(a, p), position(b, p));
      c.copy_in(p, position(a, p));
    }
    for (int p = 0; p < 10; ++p) EXPECT_EQ(position(c, p), position(b, p));
    EXPECT_NE(position(a, 3), position(a, 4));
  }
}

TEST(KvSequence, PiecesAreAllThatItsPositionsHaveAndNothingElse) {
  for (const KvType type : {KvType::kF16, KvType::kBF16, KvType::kQ8_0, KvType::kF32}) {
    for (const int page_size : {6, 16}) {  // one that is no multiple of four, too
      const KvLayout layout({{2, 32}, {0, 0}, {1, 64, true}}, page_size, type);
      PagePool pool(layout.page_bytes());
      std::vector<std::vector<std::byte>> expected;
      for (const int garbage : {0, 1}) {
        KvSequence kv(layout, pool);
        if (garbage != 0) {  // pages that somebody else has had
          fill(kv, 0, 2 * page_size, 3);
          kv.truncate(0);
        }
        fill(kv, 0, 5, 1);
        kv.reserve(5, 13, 5);  // of another span: a page of its own, beside the first one's rest
        fill(kv, 5, 13, 1);
        size_t bytes = 0;
        std::vector<std::vector<std::byte>> pieces(static_cast<size_t>(kv.pieces()));
        for (size_t i = 0; i < pieces.size(); ++i) {
          kv.read_piece(static_cast<int>(i), pieces[i]);
          bytes += pieces[i].size();
        }
        EXPECT_EQ(pieces.size(), kv.entries().size() * 2);
        EXPECT_EQ(bytes, static_cast<size_t>(13 * layout.bytes_per_token()));
        if (garbage == 0) expected = pieces;
        EXPECT_EQ(pieces, expected);
        // Whatever byte of a position changes, one piece does.
        std::vector<std::byte> held(static_cast<size_t>(layout.bytes_per_token()));
        for (const int p : {0, 4, 5, 12}) {
          for (size_t at = 0; at < held.size(); at += 7) {
            kv.copy_out(p, held);
            held[at] ^= std::byte{4};
            kv.copy_in(p, held);
            int differ = 0;
            std::vector<std::byte> now;
            for (size_t i = 0; i < pieces.size(); ++i) {
              kv.read_piece(static_cast<int>(i), now);
              differ += now != pieces[i];
            }
            ASSERT_EQ(differ, 1) << p << " " << at;
            held[at] ^= std::byte{4};
            kv.copy_in(p, held);
          }
        }
      }
    }
  }
}

TEST(KvSequence, AForkSharesPagesUntilOneWrites) {
  const KvLayout layout({{1, 8}}, 4);
  PagePool pool(layout.page_bytes());
  KvSequence kv(layout, pool);
  fill(kv, 0, 10, 1);
  const auto before = position(kv, 9);
  {
    KvSequence fork(kv);
    EXPECT_EQ(pool.pages_used(), 3);
    fill(fork, 10, 11, 1);  // into the page that both hold
    EXPECT_EQ(pool.pages_used(), 4);
    EXPECT_EQ(fork.entries()[1].page, kv.entries()[1].page);
    EXPECT_EQ(position(fork, 9), before) << "copied before it was written to";
    fill(kv, 5, 6, -1);
    EXPECT_NE(fork.entries()[1].page, kv.entries()[1].page);
    EXPECT_NE(position(fork, 5), position(kv, 5));
    EXPECT_EQ(position(fork, 6), position(kv, 6));
    kv.truncate(0);
    EXPECT_EQ(position(fork, 9), before);
  }
  EXPECT_EQ(pool.pages_used(), 0);
}

TEST(KvSequence, ASpanBeginsAPageOfItsOwn) {
  const KvLayout layout({{1, 8}}, 8);
  PagePool pool(layout.page_bytes());
  KvSequence kv(layout, pool);
  const auto borders = [&] {
    std::vector<std::pair<int, int>> all;
    for (const KvEntry& entry : kv.entries()) all.emplace_back(entry.begin, entry.end);
    return all;
  };
  using Borders = std::vector<std::pair<int, int>>;
  kv.reserve(0, 3);
  kv.reserve(3, 5, 3);
  kv.reserve(5, 12, 3);
  EXPECT_EQ(borders(), (Borders{{0, 3}, {3, 8}, {8, 12}}));
  kv.reserve(12, 13, 12);
  kv.reserve(13, 14, 13);
  kv.reserve(14, 30, 13);
  EXPECT_EQ(borders(), (Borders{{0, 3}, {3, 8}, {8, 12}, {12, 13}, {13, 16}, {16, 24}, {24, 30}}));
  for (int p = 0; p < 30; ++p) {
    const KvEntry& entry = kv.entries()[static_cast<size_t>(kv.find(p))];
    EXPECT_TRUE(entry.begin <= p && p < entry.end) << p;
  }
  kv.truncate(13);
  EXPECT_EQ(borders(), (Borders{{0, 3}, {3, 8}, {8, 12}, {12, 13}}));
  kv.truncate(10);
  kv.reserve(10, 11, 8);
  EXPECT_EQ(borders(), (Borders{{0, 3}, {3, 8}, {8, 11}}));
  kv.truncate(10);
  kv.reserve(10, 11, 10);
  EXPECT_EQ(borders(), (Borders{{0, 3}, {3, 8}, {8, 10}, {10, 11}}));
  EXPECT_EQ(kv.find(10), 3);
  kv.truncate(0);
  EXPECT_EQ(pool.pages_used(), 0);
}

TEST(KvSequence, AForkOfAPageThatIsPartlyFilledGoesItsOwnWay) {
  const KvLayout layout({{1, 8}}, 8);
  PagePool pool(layout.page_bytes());
  KvSequence kv(layout, pool);
  fill(kv, 0, 5, 1);
  const auto before = position(kv, 4);
  KvSequence same(kv), other(kv);
  other.reserve(5, 6, 5);  // another span: the shared page is not written to
  EXPECT_EQ(other.entries()[0].page, kv.entries()[0].page);
  same.reserve(5, 6);  // the same span: it is
  EXPECT_NE(same.entries()[0].page, kv.entries()[0].page);
  EXPECT_EQ(position(same, 4), before);
}

TEST(KvSequence, PinnedPagesStayAndAreNotWrittenTo) {
  const KvLayout layout({{1, 8}}, 4);
  PagePool pool(layout.page_bytes());
  KvSequence anchor(layout, pool);
  fill(anchor, 0, 6, 1);
  anchor.pin();
  EXPECT_EQ(pool.pages_pinned(), 2);
  EXPECT_TRUE(anchor.entries()[1].page->pinned());
  const auto before = position(anchor, 5);
  {
    KvSequence user(anchor);
    fill(user, 5, 7, -1);
    EXPECT_NE(position(user, 5), before);
    EXPECT_FALSE(user.entries()[1].page->pinned());
  }
  EXPECT_EQ(position(anchor, 5), before);
  anchor.unpin();
  EXPECT_EQ(pool.pages_pinned(), 0);
  anchor.truncate(0);
  EXPECT_EQ(pool.pages_used(), 0);
}

TEST(KvSequence, PagesBehindAWindowAreGivenBackButForPinnedOnes) {
  const KvLayout layout({{1, 8}}, 4);
  PagePool pool(layout.page_bytes());
  {
    KvSequence kv(layout, pool);
    fill(kv, 0, 6, 1);
    kv.pin();
    fill(kv, 6, 21, 1);
    const auto before = position(kv, 17);
    EXPECT_EQ(pool.pages_used(), 7) << "one was copied, since it was pinned";
    kv.release(15);
    EXPECT_EQ(pool.pages_used(), 5);
    EXPECT_EQ(kv.bytes(), 4 * layout.page_bytes()) << "the first one, which is pinned, and from 12 on";
    EXPECT_TRUE(kv.holds(12, 21));
    EXPECT_TRUE(kv.holds(0, 4));
    EXPECT_FALSE(kv.holds(8, 21));
    EXPECT_FALSE(kv.holds(20, 22));
    KvSequence fork(kv);
    EXPECT_EQ(fork.bytes(), kv.bytes());
    fill(fork, 21, 23, -1);
    EXPECT_EQ(position(fork, 17), before);
    fork.truncate(10);
    EXPECT_EQ(fork.bytes(), layout.page_bytes());
    fork.truncate(0);
    fork.skip(10);
    EXPECT_EQ(fork.bytes(), 0);
    EXPECT_FALSE(fork.holds(9, 10));
    fill(fork, 10, 14, 1);
    EXPECT_EQ(fork.bytes(), 2 * layout.page_bytes()) << "positions 10 and 11 have a page of their own";
    EXPECT_TRUE(fork.holds(10, 14));
    fork.release(13);
    EXPECT_EQ(fork.bytes(), layout.page_bytes());
    EXPECT_EQ(position(kv, 17), before);
    kv.truncate(6);
    kv.truncate(0);
  }
  EXPECT_EQ(pool.pages_used(), 2) << "what was pinned";
}

}  // namespace
}  // namespace fieldprint
