#include "text/merger.h"

#include <gtest/gtest.h>

#include <random>

namespace fieldprint {
namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(engine_() % bound); }

 private:
  std::mt19937 engine_;
};

// The definition, word for word; quadratic and obvious.
void merge_naively(const MergeTable& merges, std::vector<uint32_t>& symbols) {
  while (true) {
    size_t best = symbols.size();
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const uint64_t pair = merges.find(symbols[i], symbols[i + 1]);
      if (pair != MergeTable::kNone && pair >> 32 < lowest) lowest = pair >> 32, best = i;
    }
    if (best == symbols.size()) return;
    symbols[best] = static_cast<uint32_t>(merges.find(symbols[best], symbols[best + 1]));
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

MergeTable random_table(Random& random, uint32_t letters, uint32_t merges, uint32_t ranks) {
  MergeTable table;
  uint32_t next = letters;
  for (uint32_t i = 0; i < merges; ++i) {
    const uint32_t a = random.below(next), b = random.below(next);
    if (table.add(a, b, ranks == 0 ? i : random.below(ranks), next)) ++next;
  }
  return table;
}

TEST(Merger, EqualsTheDefinitionForWordsOfAnyLength) {
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    const uint32_t letters = 1 + random.below(5);
    const MergeTable table =
        random_table(random, letters, 1 + random.below(60), round % 2 == 0 ? 0 : 1 + random.below(10));
    for (const size_t length : {0, 1, 2, 5, 39, 40, 41, 42, 200}) {
      std::vector<uint32_t> symbols(length);
      for (uint32_t& symbol : symbols) symbol = random.below(50) == 0 ? kNoSymbol : random.below(letters);
      std::vector<uint32_t> expected = symbols;
      merge_naively(table, expected);
      merge_symbols(table, symbols);
      ASSERT_EQ(symbols, expected) << "round " << round << ", " << length << " symbols";
    }
  }
}

TEST(Merger, TheLeftmostOfEqualsMergesFirst) {
  MergeTable table;
  table.add(0, 0, 0, 1);
  std::vector<uint32_t> symbols = {0, 0, 0};
  merge_symbols(table, symbols);
  EXPECT_EQ(symbols, (std::vector<uint32_t>{1, 0}));
}

TEST(Merger, AMillionEqualSymbolsTakeNoQuadraticTime) {
  MergeTable table;
  for (uint32_t i = 0; i < 8; ++i) table.add(i, i, i, i + 1);
  std::vector<uint32_t> symbols(1 << 20, 0);
  merge_symbols(table, symbols);  // a quadratic one runs into the test's time limit
  EXPECT_EQ(symbols, std::vector<uint32_t>((1 << 20) / 256, 8));
}

}  // namespace
}  // namespace fieldprint
