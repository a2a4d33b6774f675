#include "grammar/decimal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/rng.h"
#include "grammar/automaton.h"
#include "grammar/matcher.h"

namespace fieldprint {
namespace {

class Texts {
 public:
  explicit Texts(const Expression& e) : automaton_(program(e)), matcher_(automaton_) {}
  bool contain(const std::string& text) {
    matcher_.begin_work();
    return matcher_.may_end(matcher_.next(matcher_.start(), text));
  }

 private:
  static Program program(const Expression& e) {
    Program p;
    p.root = p.rule();
    p.empty(append(p, p.rules[p.root].start, e), p.rules[p.root].end);
    return p;
  }
  Automaton automaton_;
  Matcher matcher_;
};

std::optional<Bound> bound(double value, bool exclusive = false) { return Bound{Decimal::of(value), exclusive}; }

TEST(Decimal, IsExact) {
  const auto text = [](const Decimal& d) { return fmt::format("{}{}/{}", d.negative ? "-" : "", d.digits, d.scale); };
  EXPECT_EQ(text(Decimal::of(0.1)), "1/1");
  EXPECT_EQ(text(Decimal::of(-2.5e-3)), "-25/4");
  EXPECT_EQ(text(Decimal::of(1e21)), "1000000000000000000000/0");
  EXPECT_EQ(text(Decimal::of(-0.0)), "0/0");
  EXPECT_EQ(text(Decimal::of(std::numeric_limits<int64_t>::min())), "-9223372036854775808/0");
  EXPECT_EQ(text(Decimal::of(~uint64_t{0})), "18446744073709551615/0");
  EXPECT_LT(Decimal::of(-1.5), Decimal::of(-1.25));
  EXPECT_LT(Decimal::of(-1.0), Decimal::of(int64_t{0}));
  EXPECT_LT(Decimal::of(0.09), Decimal::of(0.1));
  EXPECT_FALSE(Decimal::of(2.0) < Decimal::of(int64_t{2}));
}

TEST(Decimal, IntegersBetweenAllPairsOfSmallOnes) {
  for (int low = -23; low <= 123; low += 7) {
    for (int high = low - 1; high <= 131; high += 5) {
      const Expression e = integers_between(bound(low), bound(high));
      if (high < low) {
        EXPECT_TRUE(e.parts.empty()) << low << ".." << high;
        continue;
      }
      Texts texts(e);
      for (int i = -140; i <= 1400; ++i)
        ASSERT_EQ(texts.contain(std::to_string(i)), low <= i && i <= high) << i << " in " << low << ".." << high;
      for (const char* no : {"", "-", "-0", "00", "01", "1.0", "+1"}) EXPECT_FALSE(texts.contain(no));
    }
  }
}

TEST(Decimal, IntegersBetweenRandomBounds) {
  Rng rng(1);
  for (int i = 0; i < 300; ++i) {
    const auto pick = [&] {
      const int64_t size = int64_t{1} << (rng.next() % 53);
      return static_cast<int64_t>(rng.next() % static_cast<uint64_t>(2 * size)) - size;
    };
    int64_t low = pick(), high = pick();
    if (low > high) std::swap(low, high);
    const bool open = i % 3 == 0 && low < high - 1;
    Texts texts(integers_between(Bound{Decimal::of(low), open}, Bound{Decimal::of(high), open}));
    for (const int64_t base : {low, high, int64_t{0}, (low + high) / 2, low * 10, high / 10, pick()})
      for (int64_t x = base - 2; x <= base + 2; ++x) {
        const bool in = open ? low < x && x < high : low <= x && x <= high;
        ASSERT_EQ(texts.contain(std::to_string(x)), in) << x << " in " << low << ".." << high;
      }
  }
}

TEST(Decimal, IntegersOnOneSideOrBetweenFractions) {
  Texts from(integers_between(bound(18.5), {})), to(integers_between({}, bound(-2, true)));
  EXPECT_FALSE(from.contain("18"));
  for (const char* in : {"19", "100", "9999999999999999"}) EXPECT_TRUE(from.contain(in)) << in;
  EXPECT_FALSE(to.contain("-2"));
  for (const char* in : {"-3", "-1234567"}) EXPECT_TRUE(to.contain(in)) << in;
  Texts all(integers_between({}, {}));
  for (const char* in : {"0", "-1", "9999999999999999"}) EXPECT_TRUE(all.contain(in)) << in;
  for (const char* out : {"12345678901234567", "-0", "1.5"}) EXPECT_FALSE(all.contain(out)) << out;
  EXPECT_TRUE(integers_between(bound(0.25), bound(0.75)).parts.empty());
}

TEST(Decimal, NumbersBetweenBoundsAsADoubleReadsThem) {
  Rng rng(2);
  const auto random = [&](int places) {
    const double scale = std::pow(10, places);
    return std::round((static_cast<double>(rng.next() % 2'000'001) - 1'000'000)) / scale;
  };
  for (int i = 0; i < 400; ++i) {
    double low = random(static_cast<int>(rng.next() % 7)), high = random(static_cast<int>(rng.next() % 7));
    if (low > high) std::swap(low, high);
    const bool open = i % 2 == 0;
    const auto e = numbers_between(bound(low, open), bound(high, open));
    if (!e) continue;
    if (open && low == high) {
      EXPECT_TRUE(e->parts.empty());
      continue;
    }
    Texts texts(*e);
    for (int j = 0; j < 200; ++j) {
      const double near = j % 3 == 0 ? low : j % 3 == 1 ? high : (low + high) / 2;
      const int places = static_cast<int>(rng.next() % 8);
      std::string text =
          fmt::format("{:.{}f}", near + (static_cast<double>(rng.next() % 41) - 20) / std::pow(10, places), places);
      if (text[0] == '-' && std::stod(text) == 0) text.erase(0, 1);
      const double x = std::stod(text);
      const bool in = open ? low < x && x < high : low <= x && x <= high;
      ASSERT_EQ(texts.contain(text), in) << text << " in " << low << ".." << high << (open ? " open" : "");
    }
  }
}

TEST(Decimal, NumbersThatCannotBeHeldToExactly) {
  EXPECT_FALSE(numbers_between(bound(1e17, true), {}).has_value());
  EXPECT_TRUE(numbers_between(bound(1e17), {}).has_value());
  Texts unit(*numbers_between(bound(0), bound(1)));
  for (const char* in : {"0", "1", "0.0", "1.000", "0.99999999999999"}) EXPECT_TRUE(unit.contain(in)) << in;
  for (const char* out : {"1.00000000000001", "-0.1", "-0", "1.", ".5", "00", "1e0"})
    EXPECT_FALSE(unit.contain(out)) << out;
}

}  // namespace
}  // namespace fieldprint
