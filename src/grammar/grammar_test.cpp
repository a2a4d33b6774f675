#include "fieldprint/grammar.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using std::string;

void expect(const GrammarPtr& grammar, std::initializer_list<string> in, std::initializer_list<string> out) {
  for (const string& text : in) EXPECT_TRUE(grammar->matches(text)) << text;
  for (const string& text : out) EXPECT_FALSE(grammar->matches(text)) << text;
}

void expect_gbnf(const string& text, std::initializer_list<string> in, std::initializer_list<string> out) {
  SCOPED_TRACE(text);
  expect(Grammar::from_gbnf(text), in, out);
}

void expect_regex(const string& text, std::initializer_list<string> in, std::initializer_list<string> out) {
  SCOPED_TRACE(text);
  expect(Grammar::from_regex(text), in, out);
}

template <typename Make>
void expect_error(Make make, ErrorKind kind, const string& says) {
  try {
    make();
    ADD_FAILURE() << "no error: " << says;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(string(error.what()).find(says), string::npos) << error.what() << " does not say " << says;
  }
}

TEST(Gbnf, TextsClassesAndGroups) {
  expect_gbnf(R"(root ::= "a" [b-d]+ ("x" | "y" "z")? # the end)", {"ab", "abcd", "acx", "adyz"},
              {"a", "ax", "aby", "abxx"});
  expect_gbnf("root ::= \"\\n\\t\\\"\\\\\\x41\\u00e9\\U0001F600\"", {"\n\t\"\\A\u00e9\U0001F600"}, {"\n\t\"\\A\u00e9"});
  expect_gbnf("root ::= [^a-z\\]\\n]", {"A", "\u00e9", "\U0001F600", "["}, {"a", "]", "\n", "\xC3", "ab", ""});
  expect_gbnf("root ::= [a\\-z-]*", {"a-z", "--", ""}, {"b"});
  expect_gbnf("root ::= .", {"a", "\n", "\u00e9", "\U0010FFFF"},
              {"", "\xED\xA0\x80", "\xC0\xAF", "\xF4\x90\x80\x80", "\xFF"});
  expect_gbnf("root ::=\n  a |\n  b\n\na ::= \"a\" # one\r\nb ::= (\n \"b\"\n | \"c\" )\n", {"a", "b", "c"},
              {"", "ab"});
  expect_gbnf("root ::= \"a\"\n  | \"b\"", {"a", "b"}, {"ab"});
  expect_gbnf("my_root-2 ::= \"x\"\nroot ::= my_root-2", {"x"}, {""});
  expect_gbnf("root ::= <think> \"x\"", {"<think>x"}, {"x"});
  EXPECT_TRUE(Grammar::from_gbnf("start ::= \"x\"", "start")->matches("x"));
}

TEST(Gbnf, Repetitions) {
  expect_gbnf("root ::= \"a\"{3}", {"aaa"}, {"aa", "aaaa"});
  expect_gbnf("root ::= \"ab\"{2,}", {"abab", "ababab"}, {"ab", "ababa"});
  expect_gbnf("root ::= [a-c]{ 1 , 2 } \"x\"{0,1} \"y\"{0}", {"a", "abx"}, {"", "abc", "axy"});
  expect_gbnf("root ::= (\"a\"?){3,5}", {"", "a", "aaaaa"}, {"aaaaaa"});
  expect_gbnf("root ::= ((\"a\"*)* \"b\"?)+", {"", "aab", "bb"}, {"c"});
  expect_gbnf("root ::= (\"a\" | \"bc\"){2,3}{2}", {"aaaa", "bcabcabca"}, {"aaa", "aaaaaaa"});
  expect_gbnf("root ::= x{2,1000000000}\nx ::= \"a\" | \"b\" x", {"aa", "baa", "bbbaa"}, {"a", "bba"});
  expect_gbnf("root ::= (\"a\" (\"b\"{2,40} | \"c\")?){50,60}", {string(50, 'a'), string(59, 'a') + "abb"},
              {string(49, 'a'), string(61, 'a'), string(60, 'a') + "b"});
}

TEST(Gbnf, Recursion) {
  const string nested = "root ::= \"(\" root \")\" | \"\"";
  expect_gbnf(nested, {"", "()", string(1000, '(') + string(1000, ')')}, {"(", "())"});
  EXPECT_FALSE(Grammar::from_gbnf(nested)->matches(string(9000, '(') + string(9000, ')')))
      << "deeper than a stack may be";
  expect_gbnf("root ::= \"a\" root | \"b\"", {string(100'000, 'a') + "b"}, {"aaa"});
  expect_gbnf("e ::= e \"+\" t | e \"-\" t | t\nt ::= t \"*\" f | f\nf ::= [0-9]+ | \"(\" e \")\"\nroot ::= e",
              {"1", "1+2*3", "(1-2)*(3+4)", "12-3-4"}, {"", "1+", "+1", "(1"});
  // 2^40 stacks, one entry each.
  string text;
  for (int i = 0; i < 40; ++i) text = "a" + text + (i % 2 == 0 ? "b" : "c");
  expect_gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"\"", {text}, {text + "b", text.substr(1)});
  expect_gbnf("root ::= a a a a\na ::= b?\nb ::= c\nc ::= \"x\" a", {"", "x", "xxxxxxx"}, {"y"});
  expect_gbnf("root ::= \"x\" | dead | \"y\" dead\ndead ::= \"z\" dead", {"x"}, {"y", "z", "zz"});
}

TEST(Gbnf, MistakesAreNamedWithTheirPlace) {
  const auto bad = [](const string& text, const string& says) {
    expect_error([&] { Grammar::from_gbnf(text); }, ErrorKind::kBadInput, says);
  };
  bad("", "there is no rule 'root'");
  bad("root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: the rule is defined a second time");
  bad("root ::= a\n", "line 1, column 10: the rule 'a' is used and nowhere defined");
  bad("root := \"a\"", "line 1, column 6: '::=' is expected");
  bad("root ::= \"a", "has no end");
  bad("root ::= [a", "has no end");
  bad("root ::= (\"a\"", "no ')'");
  bad("root ::= \"a\" )", "line 1, column 14");
  bad("root ::= [z-a]", "the wrong way round");
  bad("root ::= \"\\q\"", "this escape is not known");
  bad("root ::= \"\\u12\"", "4 hexadecimal digits");
  bad("root ::= \"\\ud800\"", "no such character");
  bad("root ::= \"a\"{2,1}", "the wrong way round");
  bad("root ::= \"a\"{x}", "a number is expected");
  bad("root ::= \"\xff\"", "no UTF-8");
  bad("root ::= \"a\" root", "no finite text");
  bad("root ::= []", "no finite text");
  bad("1 ::= \"a\"\n= b", "line 2");
  const auto refused = [](const string& text, const string& says) {
    expect_error([&] { Grammar::from_gbnf(text); }, ErrorKind::kUnsupported, says);
  };
  refused("root ::= b \"y\"\nb ::= root \"x\" | \"z\"", "is left-recursive");
  refused("root ::= e root \"x\" | \"z\"\ne ::= \"\"", "the rule 'root' is left-recursive");
  refused("root ::= !<x>", "not supported");
  refused("root ::= <[12]>", "by number");
}

TEST(Gbnf, HostileGrammarsEndSoon) {
  const auto start = std::chrono::steady_clock::now();
  const auto limited = [](const string& text) {
    expect_error([&] { Grammar::from_gbnf(text); }, ErrorKind::kLimit, "");
  };
  limited("root ::= " + string(1000, '(') + "\"a\"" + string(1000, ')'));
  limited("root ::= \"a\"" + string(1000, '*'));
  limited("root ::= \"a\"{99999999999}");
  limited("root ::= \"" + string(1'100'000, 'a') + "\"");
  // Each rule twice the one before: fine, since rules are called and not copied.
  string doubling = "root ::= r0\nr40 ::= \"a\"\n";
  for (int i = 0; i < 40; ++i)
    doubling += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " r" + std::to_string(i + 1) + "\n";
  EXPECT_FALSE(Grammar::from_gbnf(doubling)->matches("aaaa"));
  string nullable = "root ::= r0\nr40 ::= \"a\"?\n";
  for (int i = 0; i < 40; ++i)
    nullable += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " r" + std::to_string(i + 1) + "\n";
  const auto readings = Grammar::from_gbnf(nullable);  // 2^40 of them
  expect_error([&] { (void)readings->matches("aaaa"); }, ErrorKind::kLimit, "too ambiguous");
  // Counts within counts: 100,000 readings of each position, and an end of it.
  const auto counts = Grammar::from_gbnf("root ::= (((\"a\"{1,9000}){1,9000}){1,9000}){1,9000}");
  expect_error([&] { (void)counts->matches(string(5000, 'a')); }, ErrorKind::kLimit, "too ambiguous");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(GrammarRegex, MatchesTheWholeText) {
  expect_regex("a|bc*", {"a", "b", "bccc"}, {"ab", "", "ac"});
  expect_regex("^\\d{3}-\\d{4}$", {"123-4567"}, {"1234567", "123-45678"});
  expect_regex("(?:a|b)*?c+?(?<name>d)??", {"c", "abccd"}, {"ab", "cdd"});
  expect_regex("[\\w.-]+@[^@\\s]{2,}\\.com", {"a.b@cd.com"}, {"a@c.com", "a@@cd.com"});
  expect_regex("\\x41\\u00e9\\u{1F600}\\uD83D\\uDE00\\t\\cA\\0\\/\\.",
               {string("A\u00e9\U0001F600\U0001F600\t\x01\0/.", 16)}, {"A"});
  expect_regex(".", {"a", "\u00e9"}, {"\n", "", "\u2028"});
  expect_regex("x{2", {"x{2"}, {"xx"});
  expect_regex("a{,}", {"a{,}"}, {"a"});
  expect_regex("[]a]?|[a-]|[\\]-a]", {"-", "a", "_"}, {"b"});
  expect_regex("\\p{L}\\P{N}", {"\u00e9x", "ab"}, {"1a", "a1"});
  expect_regex("(^a|b$|^)c?", {"a", "b", "ac", "c", ""}, {"bc", "ab"});
  expect_regex("a^b|c", {"c"}, {"ab", "a^b"});
  expect_regex("", {""}, {"a"});
  expect_regex("(a*)*(b|(c|()))", {"", "aaab", "c"}, {"bb"});
}

TEST(GrammarRegex, ClassesAreAsciiAndTheirOppositesLeaveOutUnicode) {
  expect_regex("\\d", {"7"}, {"\u0663"});
  expect_regex("\\D", {"x", "\u00e9"}, {"7", "\u0663"});
  expect_regex("[^\\d]", {"x"}, {"7", "\u0663"});
  expect_regex("[^\\D]", {"7"}, {"x", "\u0663"});
  expect_regex("\\w", {"x", "_", "7"}, {"\u00e9"});
  expect_regex("\\W", {"-", "\u20ac"}, {"x", "\u00e9", "_"});
  expect_regex("\\s", {" ", "\n"}, {"\u00a0", "x"});
  expect_regex("\\S", {"x", "\u00e9"}, {" ", "\u00a0", "\uFEFF"});
}

TEST(GrammarRegex, WhatIsNoRegularLanguageIsNamed) {
  const auto refused = [](const string& text, const string& says) {
    expect_error([&] { Grammar::from_regex(text); }, ErrorKind::kUnsupported, says);
  };
  refused("a(?=b)", "column 2: look-ahead");
  refused("(?!b)", "look-ahead");
  refused("(?<=b)", "look-behind");
  refused("(a)\\1", "back-reference");
  refused("\\k<a>", "back-reference");
  refused("\\bx", "word border");
  refused("a*+", "possessive");
  refused("(?i)a", "'(?i' is not supported");
  refused("(a$)*", "an anchor inside a repetition");
  refused("\\p{Greek}", "'Greek'");
  refused("[[:alpha:]]", "by name");
  const auto bad = [](const string& text, const string& says) {
    expect_error([&] { Grammar::from_regex(text); }, ErrorKind::kBadInput, says);
  };
  bad("a)", "column 2: this ')' closes nothing");
  bad("(a", "no ')'");
  bad("[a", "no ']'");
  bad("*a", "nothing to repeat");
  bad("a**", "nothing to repeat");
  bad("a{2,1}", "the wrong way round");
  bad("\\", "ends in a backslash");
  bad("[z-a]", "the wrong way round");
  expect_error([] { Grammar::from_regex(string(500, '(') + string(500, ')')); }, ErrorKind::kLimit,
               "nested too deeply");
  expect_error([] { Grammar::from_regex("(^a?)(^a?)(^a?)(^a?)(^a?)(^a?)(^a?)(^a?)(^a?)(^a?)(^a?)"); },
               ErrorKind::kLimit, "too many anchors");
}

TEST(Grammar, LargerOnesOutOfSmallerOnes) {
  const GrammarPtr a = Grammar::text("a"), digits = Grammar::from_regex("[0-9]+");
  const GrammarPtr both[] = {a, digits};
  expect(Grammar::sequence(both), {"a12"}, {"a", "12"});
  expect(Grammar::any_of(both), {"a", "12"}, {"a12", ""});
  expect(Grammar::repeat(Grammar::sequence(both), 1, 2), {"a1", "a1a2"}, {"", "a1a2a3"});
  expect(Grammar::repeat(a, 0), {"", "aaa"}, {"b"});
  expect(Grammar::sequence({}), {""}, {"a"});
  expect_error([] { Grammar::any_of({}); }, ErrorKind::kBadInput, "no finite text");
}

TEST(Grammar, FreeTextUpToAMark) {
  const GrammarPtr until = Grammar::until("</t>");
  expect(until, {"</t>", "a</</t</t>", "\xff\n</t>"}, {"", "</t", "a</t>b"});
  const GrammarPtr answer = Grammar::from_regex("[0-9]");
  expect(Grammar::after_thought(answer, true), {"hm</think>1", "</think>\n\n2", "1</think>3"},
         {"1", "hm</think>\n\n\n1", "</think>"});
  expect(Grammar::after_thought(answer, false), {"1", "<think>hm</think>\n2"}, {"hm</think>1", "<think>1"});
}

TEST(Grammar, TriggersInFreeText) {
  const std::pair<string, GrammarPtr> triggers[] = {{"<call>", Grammar::from_regex("[0-9]+;")},
                                                    {"<calm>", Grammar::text("x")}};
  expect(Grammar::with_triggers(triggers),
         {"", "any text", "<cal", "<call>1;", "a <call>12; b <calm>x<call>3;", "<c<call>1;", "<call>1;x",
          "<call>1;<call>2;"},
         {"<call>", "<call>x;", "<call>1", "<call>1;<call>", "<calm>y", "text <calm>"});
  expect(Grammar::with_triggers({}), {"", "anything <call>"}, {});
  const std::pair<string, GrammarPtr> empty[] = {{"", Grammar::text("x")}};
  expect_error([&] { Grammar::with_triggers(empty); }, ErrorKind::kUsage, "some text");
}

}  // namespace
}  // namespace fieldprint
