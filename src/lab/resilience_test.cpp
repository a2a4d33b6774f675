#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fieldprint/lab.h"

namespace fieldprint {
namespace {

TEST(LabResilience, TheTableIsThePublishedOne) {
  std::string text;
  for (const ResilienceRow& row : resilience_table())
    text += fmt::format("{} {:.4f} {:.4f} {}\n", row.magnitude, row.dot, row.gram, row.result);
  EXPECT_EQ(text,
            "1 0.1000 -1.0000 only Gram notices\n"
            "5 0.1000 -25.0000 only Gram notices\n"
            "10 0.1000 -100.0000 only Gram notices\n"
            "50 0.1000 -2500.0000 only Gram notices\n"
            "100 0.1000 -10000.0000 only Gram notices\n"
            "in plane 0.7071 -0.0000 both accept\n");
}

LeakOptions small() { return {.head_dims = {16}, .matches = {1, 0.8}, .keys = {64, 1024, 16384}, .trials = 9}; }

const LeakRow& row_of(const std::vector<LeakRow>& rows, std::string_view kind, bool equal, double match, int keys) {
  for (const LeakRow& row : rows)
    if (row.kind == kind && row.same_length && row.equal_spread == equal && row.match == match && row.keys == keys)
      return row;
  ADD_FAILURE() << "no such row";
  return rows[0];
}

// A dot product of unit vectors in d dimensions, times sqrt d, is about normal: the exponentials of n of them sum up to
// about n e^0.5, beside e^(sqrt d) of the key that is the query.
TEST(LabResilience, DotLeaksAsMuchAsTheoryHasIt) {
  const auto rows = measure_leak(small());
  for (const int n : {64, 1024, 16384}) {
    const double expected = 1 / (1 + std::exp(4.0) / (n * std::exp(0.47)));  // d = 16: a little below a normal
    EXPECT_NEAR(row_of(rows, "dot", false, 1, n).median, expected, 0.06) << n;
  }
}

TEST(LabResilience, LeaksGrowWithTheNumberOfKeys) {
  const auto rows = measure_leak(small());
  for (const char* kind : {"dot", "gram"}) {
    for (const bool equal : {false, true}) {
      for (const double match : {1.0, 0.8}) {
        EXPECT_LE(row_of(rows, kind, equal, match, 64).median, row_of(rows, kind, equal, match, 1024).median);
        EXPECT_LT(row_of(rows, kind, equal, match, 1024).median, row_of(rows, kind, equal, match, 16384).median);
      }
      EXPECT_LT(row_of(rows, kind, equal, 1, 1024).median, row_of(rows, kind, equal, 0.8, 1024).median);
    }
  }
}

TEST(LabResilience, SameSeedSameReport) {
  EXPECT_EQ(resilience_report(measure_leak(small()), ""), resilience_report(measure_leak(small()), ""));
}

}  // namespace
}  // namespace fieldprint
