#include "base/number.h"

#include <gtest/gtest.h>

#include <limits>

namespace fieldprint {
namespace {

TEST(Number, TheLocaleOfTheProgramDoesNotCount) {
  // Every machine has "C"; that strtod_c reads a comma nowhere is seen without another locale, too.
  char* end = nullptr;
  const char* const text = "1.5,5";
  EXPECT_EQ(strtod_c(text, &end), 1.5);
  EXPECT_EQ(end, text + 3);
  for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8"}) {
    const locale_t other = ::newlocale(LC_ALL_MASK, name, nullptr);
    if (other == nullptr) continue;
    const locale_t before = ::uselocale(other);
    EXPECT_EQ(strtod_c("0.25"), 0.25) << name;
    ::uselocale(before);
    ::freelocale(other);
  }
  EXPECT_EQ(strtod_c("1.5e999"), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace fieldprint
