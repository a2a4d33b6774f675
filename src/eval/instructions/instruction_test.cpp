#include "eval/instructions/instruction.h"

#include <gtest/gtest.h>

#include <set>

#include "eval/instructions/sentences.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

struct Case {
  const char* id;
  const char* arguments;
  std::vector<const char*> follow, fail;
};

// What each checker of lm-evaluation-harness 0.4.13 said of these, but for languages and the letter '#'.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"keywords:existence",
       R"({"keywords": ["tree", "Sky"]})",
       {"A TREE under the sky.", "trees and skyline"},
       {"a tree", "the sky", "tre e sky"}},
      {"keywords:frequency",
       R"({"keyword": " dog ", "frequency": 2, "relation": "at least"})",
       {"Dog and hotdog"},
       {"dog", "cat"}},
      {"keywords:frequency", R"({"keyword": "dog", "frequency": 2, "relation": "less than"})", {"dog"}, {"dog dogs"}},
      {"keywords:forbidden_words",
       R"({"forbidden_words": ["war", "pain"]})",
       {"Warm paint."},
       {"The War.", "no pain no gain"}},
      {"keywords:letter_frequency",
       R"({"letter": "E", "let_frequency": 3, "let_relation": "at least"})",
       {"Eee", "enter here"},
       {"he"}},
      {"keywords:letter_frequency",
       R"({"letter": "#", "let_frequency": 2, "let_relation": "at least"})",
       {"#a #b"},
       {"#a"}},
      {"language:response_language",
       R"({"language": "de"})",
       {"Das ist ein Satz, und er ist nicht auf Englisch.", "123"},
       {"This is a sentence that is not in German."}},
      {"language:response_language", R"({"language": "hi"})", {"यह एक अच्छा दिन है और मैं खुश हूँ।"}, {"नहीं? No, it is not."}},
      {"length_constraints:number_sentences",
       R"({"num_sentences": 3, "relation": "at least"})",
       {"One. Two! Three?", "This one. that one. and more"},
       {"One. Two.", "Dr. Smith met Mr. Jones. He left."}},
      {"length_constraints:number_sentences",
       R"({"num_sentences": 2, "relation": "less than"})",
       {"Only one here."},
       {"One. Two."}},
      {"length_constraints:number_paragraphs",
       R"({"num_paragraphs": 2})",
       {"a\n***\nb", "a***b***", "***\na *** b"},
       {"a", "a *** *** b", "a***b***c"}},
      {"length_constraints:number_words",
       R"({"num_words": 3, "relation": "at least"})",
       {"one two three", "well-known fact"},
       {"one, two"}},
      {"length_constraints:nth_paragraph_first_word",
       R"({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "So"})",
       {"a b\n\n\"So, it is.", "a\n\nso's"},
       {"a\n\nSoon", "a\n\nso\n\nc", "so", "a\n\n\n\nso"}},
      {"detectable_content:number_placeholders",
       R"({"num_placeholders": 2})",
       {"[name] lives in [city]", "[][]"},
       {"[name]", "[a\nb] [c]"}},
      {"detectable_content:postscript",
       R"({"postscript_marker": "P.S."})",
       {"Text\nP.S. more", "p. s. x"},
       {"Text\nPS more"}},
      {"detectable_content:postscript", R"({"postscript_marker": "P.P.S"})", {"x\nP.P.S more", "p. p. s"}, {"P.S. x"}},
      {"detectable_format:number_bullet_lists",
       R"({"num_bullets": 2})",
       {"* a\n* b", "- a\n  * b\ntext"},
       {"* a", "* a\n* b\n- c", "**a**\n**b**"}},
      {"detectable_format:constrained_response", "{}", {"Well. My answer is no. Sorry"}, {"my answer is no.", "No."}},
      {"detectable_format:number_highlighted_sections",
       R"({"num_highlights": 2})",
       {"*a* and *b*", "**x** **y**"},
       {"*a*", "* * ** **"}},
      {"detectable_format:multiple_sections",
       R"({"section_spliter": "SECTION", "num_sections": 2})",
       {"SECTION 1\na\nSECTION 2\nb", "SECTION1 SECTION2"},
       {"SECTION 1", "Section 1 Section 2", "SECTION A SECTION B"}},
      {"detectable_format:json_format",
       "{}",
       {"{\"a\": [1, NaN]}", "```json\n[1]\n```", " 12 ", "```JSON {} ```"},
       {"{a: 1}", "Here: {}", "```yaml\n1\n```"}},
      {"detectable_format:title", "{}", {"<<A day>>\ntext", "x <<a>> y"}, {"<A>", "<< >>", "<<a\nb>>"}},
      {"combination:two_responses", "{}", {"a ****** b", "******a******b******"}, {"a", "a******a", "a******b******c"}},
      {"combination:repeat_prompt", R"({"prompt_to_repeat": "Say hi "})", {" say HI. hi"}, {"hi. Say hi"}},
      {"startend:end_checker", R"({"end_phrase": " The End."})", {"... the end. ", "\"x the end.\""}, {"The end"}},
      {"change_case:capital_word_frequency",
       R"({"capital_frequency": 3, "capital_relation": "at least"})",
       {"I SAW THE end", "DON'T go, USA", "A (B) [C]"},
       {"I SAW", "WELL-KNOWN THINGS"}},
      {"change_case:english_capital", "{}", {"THIS IS THE END OF IT, 1."}, {"This IS", "DAS IST NICHT DER TAG", "12"}},
      {"change_case:english_lowercase", "{}", {"this is the end of it."}, {"this is The end", "das ist nicht der tag"}},
      {"punctuation:no_comma", "{}", {"a; b\u060C c"}, {"a, b"}},
      {"startend:quotation", "{}", {" \"a b\" ", "\"\""}, {"\"", "\"a", "'a'", "“a”"}},
  };
  return all;
}

TEST(EvalInstructions, FollowWhatEachSays) {
  std::set<std::string_view> seen;
  for (const Case& one : cases()) {
    SCOPED_TRACE(std::string(one.id) + " " + one.arguments);
    const InstructionCheck check = instruction_check(one.id, Document::parse(one.arguments));
    for (const char* text : one.follow) EXPECT_TRUE(check(text)) << text;
    for (const char* text : one.fail) EXPECT_FALSE(check(text)) << text;
    seen.insert(one.id);
  }
  EXPECT_EQ(instruction_types().size(), 25u);
  for (const InstructionType& type : instruction_types()) EXPECT_TRUE(seen.contains(type.id)) << type.id;
}

TEST(EvalInstructions, AreStrictOrLoose) {
  const std::vector<InstructionCheck> checks = {
      instruction_check("startend:quotation", Document::object()),
      instruction_check("punctuation:no_comma", Document::object()),
  };
  using Follows = std::vector<bool>;
  EXPECT_EQ(follow_strict(checks, "\"a\""), (Follows{true, true}));
  EXPECT_EQ(follow_strict(checks, "Sure, here:\n\"a\""), (Follows{false, false}));
  EXPECT_EQ(follow_loose(checks, "Sure, here:\n\"a\""), (Follows{true, true})) << "without its first line";
  EXPECT_EQ(follow_loose(checks, "**\"a\"**\nHope, it helps"), (Follows{true, true})) << "nor its last and asterisks";
  EXPECT_EQ(follow_loose(checks, "Sure, a"), (Follows{false, false}));
  EXPECT_EQ(follow_strict(checks, " \n"), (Follows{false, false})) << "an empty answer follows nothing";
  EXPECT_EQ(follow_loose(checks, ""), (Follows{false, false}));
}

TEST(EvalInstructions, RefuseWhatCannotBeChecked) {
  const auto error = [](const char* id, const char* arguments) {
    try {
      (void)instruction_check(id, Document::parse(arguments));
    } catch (const Error& refused) {
      EXPECT_EQ(refused.kind(), ErrorKind::kBadInput);
      return std::string(refused.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(error("keywords:rhyme", "{}"), "there is no instruction 'keywords:rhyme'");
  EXPECT_EQ(error("keywords:existence", R"({"keywords": null})"), "keywords:existence: its 'keywords' is missing");
  EXPECT_NE(error("language:response_language", R"({"language": "xx"})").find("'xx' is no code"), std::string::npos);
  EXPECT_NE(error("keywords:existence", R"({"keywords": ["("]})").find("is no regular expression"), std::string::npos);
  EXPECT_NE(error("length_constraints:number_words", R"({"num_words": -1, "relation": "at least"})").find("num_words"),
            std::string::npos);
  EXPECT_NE(error("length_constraints:number_words", R"({"num_words": 1, "relation": "about"})").find("'about'"),
            std::string::npos);
  EXPECT_EQ(error("length_constraints:number_words", R"({"num_words": 2.0, "relation": "at least"})"), "none")
      << "as pandas exports columns with gaps";
}

TEST(EvalInstructions, CountSentencesAsPunktDoes) {
  const std::vector<std::pair<const char*, size_t>> all = {
      {"", 0},
      {"   ", 0},
      {"No end", 1},
      {"Hello there. how are you?", 2},
      {"Dr. Smith saw Mrs. Jones at 5 p.m. on Friday.", 1},
      {"He lives in the U.S. The house is big.", 2},
      {"J. R. Smith wrote it.", 1},
      {"It costs 3.50 dollars. Cheap!", 2},
      {"1. First\n2. Second", 3},  // "1.", "First 2.", "Second"
      {"Wait... what?", 1},
      {"Wait... The end.", 2},
      {"\"Stop!\" he said. \"Why?\" she asked.", 4},
      {"(It was late.) We left.", 2},
      {"Really?! Yes!!! Good.", 3},
      {"See example.com for more. Thanks", 2},
      {"**Bold.** Next one.", 2},
  };
  for (const auto& [text, count] : all) EXPECT_EQ(count_sentences(text), count) << text;
}

}  // namespace
}  // namespace fieldprint
