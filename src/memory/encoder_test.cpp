#include "memory/encoder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "fieldprint/error.h"
#include "memory/index.h"

namespace fieldprint::memory {
namespace {

TEST(Encoder, NgramsFindWhatSharesWords) {
  const auto encoder = make_encoder("ngram", nullptr);
  const auto codes = [&](const char* text) { return quantize_embedding(encoder->encode(text)); };
  const Codes question = codes("what is the staging cluster called?");
  EXPECT_GT(cosine_of(question, codes("The staging cluster is called heron.")), encoder->least_cosine());
  EXPECT_LT(cosine_of(question, codes("Bread needs flour, water, yeast and salt.")), encoder->least_cosine());
  EXPECT_EQ(codes("the same text"), codes("the same text"));
}

TEST(Encoder, CodesAreExactAndFinite) {
  EXPECT_EQ(quantize_embedding(std::vector<float>{0.5f, -1.0f, 0.0f, -0.0f, 1.0f / 512}), (Codes{127, -127, 0, 0, 1}));
  EXPECT_THROW(quantize_embedding(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}), Error);
  EXPECT_THROW(quantize_embedding(std::vector<float>{std::numeric_limits<float>::infinity()}), Error);
}

TEST(Encoder, AModelNeedsAModel) {
  EXPECT_THROW(make_encoder("model", nullptr), Error);
  EXPECT_THROW(make_encoder("tarot", nullptr), Error);
}

// The graph proposes, the exact product decides: beyond kGraphFrom the answers are those of looking at all.
TEST(VectorIndex, AGraphFindsWhatLookingAtAllFinds) {
  constexpr int kDimensions = 64;
  VectorIndex with(kDimensions);
  std::vector<Codes> all;
  uint64_t state = 1;
  const auto next = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; };
  const auto id_of = [](size_t number) {
    RecordId id{};
    for (size_t i = 0; i < 8; ++i) id[i] = static_cast<std::byte>(number >> (8 * i));
    return id;
  };
  for (size_t i = 0; i < VectorIndex::kGraphFrom + 500; ++i) {
    Codes codes(kDimensions);
    for (int8_t& code : codes) code = static_cast<int8_t>(static_cast<int>(next() % 101) - 50);
    with.add(id_of(i), codes);
    all.push_back(std::move(codes));
  }
  const auto everything = [](const RecordId&) { return true; };
  for (int i = 0; i < 400 && !with.has_graph(); ++i) {
    with.search(all[0], 1, everything);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(with.has_graph());
  int same = 0;
  constexpr int kQueries = 50;
  for (int q = 0; q < kQueries; ++q) {
    const Codes& query = all[next() % all.size()];
    int32_t best = INT32_MIN;
    for (const Codes& codes : all) best = std::max(best, dot(query, codes));
    const auto hits = with.search(query, 3, everything);
    ASSERT_EQ(hits.size(), 3u);
    EXPECT_GE(hits[0].score, hits[1].score);
    same += hits[0].score == best;
  }
  EXPECT_GE(same, kQueries - 1);
  with.remove(id_of(3));
  for (const Hit& hit : with.search(all[3], 10, everything)) EXPECT_NE(hit.id, id_of(3));
}

}  // namespace
}  // namespace fieldprint::memory
