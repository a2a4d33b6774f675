#include "chat/python_literal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/cpu_time.h"

namespace fieldprint {
namespace {

// The arguments, or "! " and why there are none.
std::string arguments(std::string_view text) {
  try {
    const auto calls = parse_python_calls(text);
    return calls.empty() ? "" : calls[0].arguments;
  } catch (const PythonRefusal& refusal) {
    return std::string("! ") + refusal.what();
  }
}
std::string value(const std::string& literal) {
  const std::string object = arguments("[f(x=" + literal + ")]");
  return object.starts_with("{\"x\":") ? object.substr(5, object.size() - 6) : object;
}

// tests/python_literal_test.py holds thousands against Python itself; these are the ones that people met.
TEST(PythonLiteral, Strings) {
  EXPECT_EQ(value("\"\"\"\nprint(\"hi\")\n\"\"\""), R"("\nprint(\"hi\")\n")");
  EXPECT_EQ(value("'\\U0001F600\\x41\\101\\u00fc\\t\\q\\\nx'"), "\"\U0001F600AA\u00fc\\t\\\\qx\"");
  EXPECT_EQ(value(R"("a" 'b' r'\n' U"c" '''d''')"), R"("ab\\ncd")");
  EXPECT_EQ(value(R"('\ud83d' "\ude00")"), "\"\U0001F600\"");
  EXPECT_EQ(value("'''a\r\nb\rc'''"), R"("a\nb\nc")");
  EXPECT_EQ(value("''"), R"("")");
  EXPECT_EQ(value("'\\0'"), R"("\u0000")");
  for (const char* text : {"'a", "'a\nb'", "'''a''", R"('\x4')", R"('\u12')", R"('\U00110000')", R"('\N{DEGREE SIGN}')",
                           R"('\ud83d')", "b'a'", "f'a'", "rb'a'", "ur'a'", "'a' b'b'", "r'\\'", "\"\xff\"", "'\\"})
    EXPECT_TRUE(value(text).starts_with("! ")) << text;
}

TEST(PythonLiteral, Numbers) {
  for (const auto& [text, json] : std::initializer_list<std::pair<const char*, const char*>>{
           {"+7", "7"},
           {"1_000", "1000"},
           {"12345678901234567890123", "12345678901234567890123"},
           {"-0", "0"},
           {"0x_ff", "255"},
           {"-0XFFFFFFFFFFFFFFFFFFFF", "-1208925819614629174706175"},
           {"0o17", "15"},
           {"0b1_0", "2"},
           {"00_0", "0"},
           {"1.", "1.0"},
           {".5", "0.5"},
           {"01.5", "1.5"},
           {"1_0e1_0", "100000000000.0"},
           {"-0.0", "-0.0"},
           {"- # sign\n ( ( 3 ) )", "-3"},
           {"1e22", "1e+22"},
           {"1e-400", "0.0"},
           {"5E-324", "5e-324"},
           {"0.1", "0.1"}})
    EXPECT_EQ(value(text), json) << text;
  EXPECT_EQ(value("0." + std::string(400, '0') + "1"), "0.0");
  EXPECT_EQ(value("1" + std::string(400, '0') + "e-400"), "1.0");
  for (const char* text :
       {"01",  "1__0",  "1_",   "_1", "0x", "0b12",  "0o8", "1e",      "1e+",   "1e999",    "1j",    "1 + 2j",
        "--1", "-True", "-'a'", "+",  ".",  "1.5.2", "1a",  "1\u00fc", "-(+1)", "- (1, 2)", "0x1p3", "1 2"})
    EXPECT_TRUE(value(text).starts_with("! ")) << text;
  EXPECT_EQ(value(std::string(4300, '9')), std::string(4300, '9'));
  EXPECT_TRUE(value(std::string(4301, '9')).starts_with("! "));
  EXPECT_TRUE(value("1" + std::string(400, '0') + ".5").starts_with("! "));
}

TEST(PythonLiteral, Containers) {
  for (const auto& [text, json] : std::initializer_list<std::pair<const char*, const char*>>{
           {"()", "[]"},
           {"(1)", "1"},
           {"(1,)", "[1]"},
           {"((1, 2), [3,],)", "[[1,2],[3]]"},
           {"('a'\n'b')", "\"ab\""},
           {"{}", "{}"},
           {"{1: 2}", R"({"1":2})"},
           {"{'a': {'b': None}, 2.5: True}", R"({"a":{"b":null},"2.5":true})"},
           {"{1: 'a', True: 'b', 1.0: 'c'}", R"({"1":"c"})"},
           {"{None: 1, False: 2}", R"({"null":1,"false":2})"},
           {"{-0x10: 1}", R"({"-16":1})"},
           {"[true, null]", "[true,null]"}})
    EXPECT_EQ(value(text), json) << text;
  for (const char* text : {"{1}", "{1, 2}", "set()", "{(1,): 2}", "{[1]: 2}", "{1: 'a', '1': 'b'}", "{**{}}", "[*a]",
                           "(,)", "[,]", "[1 2]", "{1: }", "...", "(1", "[1)", "x", "lambda: 1", "[i for i in a]"})
    EXPECT_TRUE(value(text).starts_with("! ")) << text;
}

TEST(PythonLiteral, Calls) {
  const auto calls = parse_python_calls(" [ a.b-c ( x = 1 , # why\n gr\u00f6\u00dfe=2,), g(from='a', in='b') ] # end");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].name, "a.b-c");
  EXPECT_EQ(calls[0].arguments, "{\"x\":1,\"gr\u00f6\u00dfe\":2}");
  EXPECT_EQ(calls[1].arguments, R"({"from":"a","in":"b"})");
  EXPECT_EQ(parse_python_calls("[]").size(), 0u);
  // Python would read the ligature as "fi", and e with an accent of its own as one letter.
  for (const char* text : {"[f(\ufb01=1)]", "[f(e\u0301=1)]", "[f(x=1, x=2)]", "[f(,)]", "[f(x=1) g()]", "[f(1x=1)]",
                           "[f(x=1)];", "[f(x=1)](", "[f(\u00b2=1)]", "[f(**{'x': 1})]", "[f(x==1)]", "[.f()]", "[f]"})
    EXPECT_TRUE(arguments(text).starts_with("! ")) << text;
  EXPECT_EQ(arguments("[f(x=1,\n y='\u00fc' 2)]"), "! character 16: ',' or ')' is missing");
}

TEST(PythonLiteral, TakesTimeByItsLength) {
  const double start = cpu_seconds();
  std::string text = "[f(";
  for (int i = 0; i < 100'000; ++i) text += "a" + std::to_string(i) + "={" + std::to_string(i) + ": 'x'}, ";
  EXPECT_GT(arguments(text + ")]").size(), 1'000'000u);
  EXPECT_EQ(value("'" + std::string(5'000'000, 'x') + "'").size(), 5'000'002u);
  EXPECT_TRUE(value("0x" + std::string(5'000'000, 'f')).starts_with("! "));
  EXPECT_LT(cpu_seconds() - start, 10);
}

// For tests/python_literal_test.py: lines of JSON strings in, `=` and JSON or `!` and a reason out, each on a line.
TEST(PythonLiteral, AnswersTheDifferentialTest) {
  const char* questions = std::getenv("FIELDPRINT_LITERALS");
  if (questions == nullptr) GTEST_SKIP() << "tests/python_literal_test.py asks";
  std::ifstream in(questions);
  std::ofstream out(std::string(questions) + ".answers");
  for (std::string line; std::getline(in, line);) {
    const std::string answer = arguments(nlohmann::json::parse(line).get<std::string>());
    out << (answer.starts_with("! ") ? "!" + answer.substr(1) : "=" + answer) << "\n";
  }
}

}  // namespace
}  // namespace fieldprint
