#include "memory/label.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "memory/record.h"
#include "support/trials.h"

namespace fieldprint::memory {
namespace {

SourceId source(int number) { return source_id("test", "p", std::to_string(number)); }

Label draw(std::mt19937_64& random) {
  std::vector<SourceId> sources;
  for (uint64_t i = 0, count = random() % 5; i < count; ++i) sources.push_back(source(static_cast<int>(random() % 40)));
  Label label{static_cast<Integrity>(random() % 6), Sources(sources)};
  if (random() % 3 == 0) {
    label.readers.emplace();
    for (const char* reader : {"a", "b", "c"}) {
      if (random() % 2 == 0) label.readers->insert(reader);
    }
  }
  return label;
}

TEST(Label, JoinIsALattice) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 5000; ++i) {
    const Label a = draw(random), b = draw(random), c = draw(random);
    EXPECT_EQ(join(a, b), join(b, a));
    EXPECT_EQ(join(join(a, b), c), join(a, join(b, c)));
    EXPECT_EQ(join(a, a), a);
    EXPECT_TRUE(at_most(join(a, b), a));
    EXPECT_TRUE(at_most(join(a, b), b));
    if (at_most(a, b)) {
      EXPECT_TRUE(at_most(join(a, c), join(b, c)));  // monotone
    }
  }
}

TEST(Label, MoreThan64SourcesAreAnySource) {
  Sources all;
  for (int i = 0; i < 65; ++i) {
    EXPECT_FALSE(all.is_any()) << i;
    all = all.joined(Sources({source(i)}));
  }
  EXPECT_TRUE(all.is_any());
  EXPECT_TRUE(all.holds(source(1000)));
  EXPECT_TRUE(all.holds_all(Sources::any()));
  EXPECT_FALSE(Sources({source(1)}).holds_all(all));
}

TEST(Label, SurvivesItsEncoding) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 500; ++i) {
    Record record;
    record.agent = "a";
    record.principal = "p";
    record.label = draw(random);
    EXPECT_EQ(decode_record(encode_record(record)), record);
  }
}

// Laundering: whatever a chain of derivations does, nothing in it gets above what it came from (design, figure 2).
TEST(LabelTrial, NoDerivationRaisesALabel) {
  std::mt19937_64 random(3);
  for (int dag = 0; dag < trials(60000); ++dag) {  // 17 derivations each
    std::vector<Label> nodes;
    std::vector<std::vector<size_t>> ancestors;
    for (size_t i = 0; i < 20; ++i) {
      std::vector<size_t> from;
      if (i >= 3) {
        for (uint64_t k = 0, parents = 1 + random() % 3; k < parents; ++k) from.push_back(random() % i);
      }
      Label label = from.empty() ? draw(random) : Label{Integrity::kUser, Sources({source(100 + static_cast<int>(i))})};
      std::vector<size_t> all;
      for (const size_t parent : from) {
        label = join(label, nodes[parent]);
        all.push_back(parent);
        all.insert(all.end(), ancestors[parent].begin(), ancestors[parent].end());
      }
      for (const size_t ancestor : all) ASSERT_TRUE(at_most(label, nodes[ancestor]));
      nodes.push_back(label);
      ancestors.push_back(std::move(all));
    }
  }
}

}  // namespace
}  // namespace fieldprint::memory
