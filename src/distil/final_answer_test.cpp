#include "distil/final_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace fieldprint::distil {
namespace {

TEST(FinalAnswer, NumbersHaveOneForm) {
  for (const auto& [text, normal] :
       std::vector<std::pair<std::string, std::string>>{{"$1,250.50", "1250.5"},
                                                        {"007", "7"},
                                                        {"-0.0", "0"},
                                                        {"+3.", "3"},
                                                        {"\xE2\x88\x92"
                                                         "5",
                                                         "-5"},
                                                        {"50 %", "50"},
                                                        {"$5$", "5"},
                                                        {".5", "0.5"},
                                                        {"1,2", "1,2"},
                                                        {"-$3", "-3"},
                                                        {"  **Forty   Two**. ", "forty two"},
                                                        {"", ""},
                                                        {"...", ""}})
    EXPECT_EQ(normalised_answer(text), normal) << text;
}

TEST(FinalAnswer, LastNumberWhereOneIsWanted) {
  EXPECT_EQ(final_answer("First 3, then 4 apples, so 7 in all.", nullptr, true), "7");
  EXPECT_EQ(final_answer("The answer is 5, not 6.", nullptr, true), "5");
  EXPECT_EQ(final_answer("x1 and y2", nullptr, true), "2");
  EXPECT_EQ(final_answer("none", nullptr, true), "none");
}

// What a text's final answer is where a number is wanted, in one form.
TEST(FinalAnswer, NumbersAreReadWhole) {
  for (const auto& [text, normal] :
       std::vector<std::pair<std::string, std::string>>{{"The answer is \u22125.", "-5"},
                                                        {"The answer is -.5", "-0.5"},
                                                        {"The answer is - 5.", "-5"},
                                                        {"So \\boxed{- 5}", "-5"},
                                                        {"The answer is 3/4", "0.75"},
                                                        {"The answer is 2 / 6.", "1/3"},
                                                        {"The answer is \\frac{1}{3}", "1/3"},
                                                        {"The answer is 1 3/4 cups", "1.75"},
                                                        {"The answer is 1e5", "100000"},
                                                        {"The answer is 2.5E-3", "0.0025"},
                                                        {"The answer is 1,5", "1,5"},
                                                        {"The answer is 1:30.", "1:30"},
                                                        {"The answer is 1.2.3", "1.2.3"},
                                                        {"The answer is 3-5 apples", "3-5"},
                                                        {"The answer is 2x", "2x"},
                                                        {"The answer is 2^10.", "2^10"},
                                                        {"The answer is 10 - 3 = 7", "7"},
                                                        {"The answer is 7, since 10 - 3 = 7 and 1 + 1 = 2", "7"},
                                                        {"The answer is x = -7.", "-7"},
                                                        {"The answer is 10 - 3", "10 - 3"},
                                                        {"The answer is 1 000.", "1000"},
                                                        {"The answer is 1\u202F000\u202F000 euros", "1000000"},
                                                        {"The answer is 1,234,567.80", "1234567.8"},
                                                        {"The answer is $1{,}000$.", "1000"},
                                                        {"**Answer**: 5\nNote 7", "5"},
                                                        {"_The answer is_ **5** apples", "5"},
                                                        {"The answer is 50\\%.", "50"},
                                                        {"The answer is -$3.50", "-3.5"},
                                                        {"The answer is 5km, not 6km", "5"},
                                                        {"\\boxed{x = 5 \\text{ cm}}", "5"},
                                                        {"\\boxed{2\\pi}", "2\\pi"},
                                                        {"#### 18 dollars", "18"},
                                                        {"Since 1789, the answer is Paris.", "paris"},
                                                        {"The answer is as follows:\n5", "5"},
                                                        {"First:\n- 5 apples", "5"},
                                                        {"so 3 + 4 = 7", "7"},
                                                        {"It is 1/2", "0.5"},
                                                        {"It is 1/3", "1/3"}})
    EXPECT_EQ(normalised_answer(final_answer(text, nullptr, true)), normal) << text;
  for (const char* number : {"5", "-0.5", "1/3", "1000"}) EXPECT_TRUE(is_number(number)) << number;
  for (const char* none : {"1:30", "1,5", "3-5", "paris", "", "05"}) EXPECT_FALSE(is_number(none)) << none;
}

TEST(FinalAnswer, LastMatchAndItsGroup) {
  EXPECT_EQ(last_match(Pattern("a(.)"), "ab ac ad"), "d");
  EXPECT_EQ(last_match(Pattern("a."), "ab ac ad"), "ad");
  EXPECT_EQ(last_match(Pattern("z"), "ab"), "");
}

}  // namespace
}  // namespace fieldprint::distil
