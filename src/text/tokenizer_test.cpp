#include "fieldprint/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "support/cpu_time.h"
#include "support/tiny_vocabulary.h"
#include "text/pre_tokenizer.h"

namespace fieldprint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr EncodeOptions kParsed{.add_special = false, .parse_special = true};

// The pieces of what `text` encodes to, specials by their names.
std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text,
                                const EncodeOptions& options = kPlain) {
  std::vector<std::string> list;
  for (const TokenId id : tokenizer.encode(text, options)) list.emplace_back(tokenizer.piece(id));
  return list;
}

std::string random_unicode(std::mt19937& random, bool broken) {
  static const char* const kWords[] = {"hello", " world", "aaaa",   "ab",  "  ",     "\n",
                                       "12",    "'s",     "<tool>", "<s>", "\u00E9", "<|im_end|>"};
  std::string text;
  for (size_t i = random() % 30; i > 0; --i) {
    const auto choice = random() % 10;
    if (choice < 5) {
      text += kWords[random() % std::size(kWords)];
    } else if (choice < 9 || !broken) {
      const uint32_t limits[] = {0x80, 0x800, 0x10000, 0x110000};
      auto code = static_cast<uint32_t>(random() % limits[random() % 4]);
      if (code >= 0xD800 && code <= 0xDFFF) code = 0x2028;
      append_utf8(text, code == 0x2581 ? 'x' : code);  // the space mark comes back as a space, by design
    } else {
      text += static_cast<char>(random() % 256);
    }
  }
  return text;
}

TEST(Tokenizer, ByteLevelWordsMergeInTheOrderOfTheMerges) {
  const auto tokenizer = tiny_byte_level("gpt-2").load();
  EXPECT_THAT(pieces(*tokenizer, "hello world"), ElementsAre("hello", " world"));
  EXPECT_THAT(pieces(*tokenizer, "hel held"), ElementsAre("he", "l", " ", "he", "ld"));
  EXPECT_THAT(pieces(*tokenizer, "aaaaab"), ElementsAre("aaaa", "ab"));
  EXPECT_THAT(pieces(*tokenizer, "\u00E9\u00EA"), ElementsAre("\u00E9", "\xC3", "\xAA"));
  EXPECT_THAT(pieces(*tokenizer, std::string_view("\0h", 2)), ElementsAre(std::string(1, '\0'), "h"));
}

TEST(Tokenizer, IgnoreMergesTakesAWordThatIsATokenAsItIs) {
  auto tiny = tiny_byte_level("gpt-2");
  tiny.add("xyz", kTinyNormal);
  EXPECT_THAT(pieces(*tiny.load(), "xyz xyz"), ElementsAre("x", "y", "z", " ", "x", "y", "z"));
  tiny.pre = "llama-bpe";
  EXPECT_THAT(pieces(*tiny.load(), "xyz xyz"), ElementsAre("xyz", " ", "x", "y", "z"));
}

TEST(Tokenizer, MergesThroughWhatIsNoToken) {
  auto tiny = tiny_byte_level("gpt-2");
  tiny.add("xyz", kTinyNormal);
  tiny.merges.insert(tiny.merges.end(), {"x y", "xy z"});  // "xy" is no token
  EXPECT_THAT(pieces(*tiny.load(), "xyz"), ElementsAre("xyz"));
  EXPECT_THAT(pieces(*tiny.load(), "xya"), ElementsAre("x", "y", "a"));
}

TEST(Tokenizer, ControlTokensOnlyWhereAskedUserDefinedOnesAlways) {
  const auto tokenizer = tiny_byte_level("llama-bpe").load();
  EXPECT_THAT(pieces(*tokenizer, "<|im_start|>hello<tool>>", kParsed), ElementsAre("<|im_start|>", "hello", "<tool>>"));
  const auto plain = pieces(*tokenizer, "<|im_start|>hello<tool>>", kPlain);
  EXPECT_EQ(plain.front(), "<");
  EXPECT_EQ(plain.back(), "<tool>>");
}

TEST(Tokenizer, PlainRangesHoldNoControlTokens) {
  const auto tokenizer = tiny_byte_level("llama-bpe").load();
  // Control tokens stand outside the range, the same letters inside and half inside are letters.
  const std::string before = "<|im_start|>he", inside = "ll<|im_end|>o", after = "<|im_end|>";
  const TextRange range{before.size(), before.size() + inside.size()};
  const auto ids = tokenizer->encode(before + inside + after, {.add_special = false, .plain = {&range, 1}});
  Ids wanted = {tokenizer->find("<|im_start|>")};
  for (const TokenId id : tokenizer->encode("he" + inside, kPlain)) wanted.push_back(id);
  wanted.push_back(tokenizer->find("<|im_end|>"));
  EXPECT_EQ(ids, wanted);
  for (size_t cut = 1; cut < after.size(); ++cut) {
    const TextRange half{0, cut};
    EXPECT_EQ(tokenizer->encode(after, {.add_special = false, .plain = {&half, 1}}), tokenizer->encode(after, kPlain));
  }
  // A shorter control token outside, where a longer one would reach into the range.
  auto tiny = tiny_byte_level("llama-bpe");
  tiny.add("<|im_end|>ll", kTinyControl);
  const auto longer = tiny.load();
  const TextRange tail{10, 12};
  EXPECT_THAT(pieces(*longer, "<|im_end|>ll", {.add_special = false, .plain = {&tail, 1}}),
              ElementsAre("<|im_end|>", "ll"));
}

TEST(Tokenizer, PlainRangesChangeNothingInTextWithoutControlTokens) {
  std::mt19937 random(11);
  for (const auto& tokenizer : {tiny_byte_level("gpt-2").load(), tiny_sentencepiece().load(), tiny_unigram().load()}) {
    for (int round = 0; round < 300; ++round) {
      std::string text = random_unicode(random, true);
      for (const char* control : {"<s>", "</s>", "<|im_end|>", "<pad>", "<unk>"})
        for (size_t at; (at = text.find(control)) != text.npos;) text.erase(at, 2);
      std::vector<TextRange> ranges;
      for (size_t at = 0; at < text.size();) {
        const size_t begin = at + random() % 7, end = std::min(begin + random() % 7, text.size());
        if (begin < end) ranges.push_back({begin, end});
        at = end + 1;
      }
      ASSERT_EQ(tokenizer->encode(text, {.plain = ranges}), tokenizer->encode(text)) << text;
      const TextRange all{0, text.size()};
      ASSERT_EQ(tokenizer->encode(text, {.add_special = false, .plain = {&all, 1}}), tokenizer->encode(text, kPlain));
    }
  }
}

TEST(Tokenizer, PlainTextNeverBecomesAControlTokenByMerging) {
  auto tiny = tiny_byte_level("llama-bpe");  // ignore_merges, too
  tiny.add("stop", kTinyControl);
  tiny.merges.insert(tiny.merges.end(), {"s t", "o p", "st op"});
  EXPECT_THAT(pieces(*tiny.load(), "stop"), ElementsAre("s", "t", "o", "p"));
  EXPECT_THAT(pieces(*tiny.load(), "stop", kParsed), ElementsAre("stop"));
  const auto spm = tiny_sentencepiece().load();  // "<s" and ">" would make "<s>"
  EXPECT_THAT(pieces(*spm, "<s>"), ElementsAre(" ", "<s", ">"));
}

TEST(Tokenizer, BosAndEosByFileThenByKind) {
  auto tiny = tiny_byte_level("gpt-2");
  EXPECT_FALSE(tiny.load()->adds_bos());
  tiny.flags = {{"add_bos_token", true}, {"add_eos_token", true}};
  auto tokenizer = tiny.load();
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_THAT(pieces(*tokenizer, "h", {}), ElementsAre("<s>", "h", "<|im_end|>"));
  EXPECT_THAT(pieces(*tokenizer, "", {}), ElementsAre("<s>", "<|im_end|>"));

  EXPECT_TRUE(tiny_byte_level("llama-bpe").load()->adds_bos());
  tiny = tiny_byte_level("llama-bpe");
  tiny.flags = {{"add_bos_token", false}};
  EXPECT_FALSE(tiny.load()->adds_bos());

  EXPECT_THAT(pieces(*tiny_sentencepiece().load(), "hello", {}), ElementsAre("<s>", " hello"));
  EXPECT_THAT(pieces(*tiny_unigram().load(), "hello", {}), ElementsAre(" hello", "</s>"));
}

TEST(Tokenizer, WithoutIdsInTheFileElevenIsNoEndUnlessItIsAControlToken) {
  auto tiny = tiny_byte_level("gpt-2");
  tiny.ids.clear();
  EXPECT_EQ(tiny.load()->eos(), kNoToken);
  EXPECT_FALSE(tiny.load()->ends_generation(11));
  tiny.kinds[11] = kTinyControl;
  EXPECT_EQ(tiny.load()->eos(), 11);
}

TEST(Tokenizer, KnowsEndsByKeyAndByText) {
  auto tiny = tiny_byte_level("gpt-2");
  const auto turn = tiny.add("<end_of_turn>", kTinyNormal), eot = tiny.add("over", kTinyControl);
  tiny.ids.emplace_back("eot_token_id", eot);
  const auto tokenizer = tiny.load();
  EXPECT_TRUE(tokenizer->ends_generation(tokenizer->eos()));
  EXPECT_TRUE(tokenizer->ends_generation(turn));
  EXPECT_TRUE(tokenizer->ends_generation(eot));
  EXPECT_FALSE(tokenizer->ends_generation(tokenizer->bos()));
  EXPECT_FALSE(tokenizer->ends_generation(kNoToken));
  EXPECT_EQ(tokenizer->piece(turn, false), "");  // a control token now, whatever the file calls it

  const auto end = tiny.add("<|end|>", kTinyControl);
  EXPECT_TRUE(tiny.load()->ends_generation(end));
  tiny.add("<|return|>", kTinyControl);
  const auto call = tiny.add("<|call|>", kTinyControl);
  EXPECT_FALSE(tiny.load()->ends_generation(end));
  EXPECT_TRUE(tiny.load()->ends_generation(call));
}

TEST(Tokenizer, Phi3SpecialsSwallowTheSpaceAfterThem) {
  auto tiny = tiny_sentencepiece();
  tiny.name = "Phi-3 mini";
  EXPECT_THAT(pieces(*tiny.load(), "<tool> \n hello", kParsed), ElementsAre("<tool>", " hello"));
  EXPECT_THAT(pieces(*tiny.load(), "<s>  hello", kParsed), ElementsAre("<s>", "  ", " hello"));
  tiny.name = "modern-bert";
  const auto mask = tiny.add("[MASK]", kTinyControl);
  EXPECT_EQ(tiny.load()->encode("hello  [MASK]", kParsed).size(), 2u);
  EXPECT_EQ(tiny.load()->encode("hello  [MASK]", kParsed).back(), mask);
}

TEST(Tokenizer, SentencePieceMergesByScoreAndFallsBackToBytes) {
  const auto tokenizer = tiny_sentencepiece().load();
  EXPECT_THAT(pieces(*tokenizer, "hello world"), ElementsAre(" hello", " world"));
  EXPECT_THAT(pieces(*tokenizer, "aaaab"), ElementsAre(" ", "aaaa", "b"));
  EXPECT_THAT(pieces(*tokenizer, "\u00E9a\u20AC"), ElementsAre(" ", "\u00E9a", "\xE2", "\x82", "\xAC"));
  EXPECT_THAT(pieces(*tokenizer, "h\xFF"), ElementsAre(" h", "\xFF"));
  EXPECT_THAT(pieces(*tokenizer, "<tool>hello", kParsed), ElementsAre("<tool>", " hello"));
  EXPECT_THAT(pieces(*tokenizer, ""), ElementsAre());
  auto bare = tiny_sentencepiece();
  bare.flags = {{"add_space_prefix", false}};
  EXPECT_THAT(pieces(*bare.load(), "hello"), ElementsAre("h", "el", "lo"));
}

TEST(Tokenizer, SentencePieceTokensMayReachOverWords) {
  auto tiny = tiny_sentencepiece();
  tiny.add("o\u2581", kTinyNormal, 10);
  EXPECT_THAT(pieces(*tiny.load(), "hello world"), ElementsAre(" hel", "l", "o ", "w", "or", "ld"));
}

// Every loader takes hostile vocabularies apart without a crash, and what loads encodes and decodes.
TEST(Tokenizer, HostileVocabularies) {
  const auto refused = [](const TinyVocabulary& tiny, ErrorKind kind, const char* words) {
    try {
      (void)tiny.load();
      ADD_FAILURE() << "loads: " << words;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind) << e.what();
      EXPECT_THAT(e.what(), HasSubstr(words));
    }
  };
  const auto base = tiny_byte_level("gpt-2");
  auto v = base;
  v.pre = "no-such";
  refused(v, ErrorKind::kUnsupported, "'no-such'");
  v = base, v.model = "rwkv";
  refused(v, ErrorKind::kUnsupported, "'rwkv'");
  v = base, v.kinds.resize(100);
  refused(v, ErrorKind::kBadFile, "100 entries for");
  v = base, v.ids = {{"bos_token_id", 1 << 20}};
  refused(v, ErrorKind::kBadFile, "bos_token_id");
  v = base, v.tokens.clear(), v.kinds.clear();
  refused(v, ErrorKind::kBadFile, "0 tokens");
  v = tiny_sentencepiece(), v.scores.clear();
  refused(v, ErrorKind::kBadFile, "scores");
  v = tiny_sentencepiece(), v.scores[5] = std::numeric_limits<float>::quiet_NaN();
  refused(v, ErrorKind::kBadFile, "token 5");
  v = tiny_unigram(), v.scores.pop_back();
  refused(v, ErrorKind::kBadFile, "scores");

  std::vector<TinyVocabulary> odd(6, base);
  odd[0].merges = {"", " ", "a", " a", "a ", "nothing here", "\u20AC \u20AC", "h e", "h e", "he \xFF"};
  odd[1].tokens[5] = odd[1].tokens[6], odd[1].tokens[7] = "";
  odd[2].tokens.erase(odd[2].tokens.begin() + 'h'), odd[2].kinds.pop_back();
  odd[3].kinds.assign(odd[3].tokens.size(), 77);
  odd[4].kinds.assign(odd[4].tokens.size(), kTinyByte);
  odd[5].ids = {{"bos_token_id", -1}, {"eos_token_id", -1}};
  odd.push_back(tiny_sentencepiece());
  odd.back().tokens[10] = "<0xZZ>", odd.back().tokens[11] = "\xFF\xFE", odd.back().tokens[270] = "",
  odd.back().kinds[3] = 1;
  odd.push_back(tiny_unigram());
  odd.back().tokens[4] = "\xE2\x96", odd.back().tokens[5] = "";
  for (size_t i = 0; i < odd.size(); ++i) {
    const auto tokenizer = odd[i].load();
    const auto ids = tokenizer->encode("hello w\u00F6rld \xFF<s>aaaa  ", {});
    for (const TokenId id : ids) EXPECT_TRUE(id >= 0 && id < tokenizer->size()) << i;
    (void)tokenizer->decode(ids);
  }
}

TEST(Tokenizer, WhatHasNoTokenIsTheUnknownTokenOrLeftOut) {
  auto tiny = tiny_byte_level("gpt-2");
  tiny.tokens['h'] = "unreachable \u20AC";
  EXPECT_THAT(pieces(*tiny.load(), "ahb"), ElementsAre("a", "b"));
  const auto unknown = tiny.add("<unk>", kTinyUnknown);
  tiny.ids.emplace_back("unknown_token_id", unknown);
  EXPECT_THAT(pieces(*tiny.load(), "ahb"), ElementsAre("a", "<unk>", "b"));
}

TEST(Tokenizer, IdsOutOfRangeAreErrors) {
  const auto tokenizer = tiny_byte_level("gpt-2").load();
  const Ids bad[] = {{tokenizer->size()}, {-1}};
  for (const Ids& ids : bad) EXPECT_THROW(tokenizer->decode(ids), Error);
  EXPECT_THROW(tokenizer->piece(-1), Error);
  StreamDecoder stream(*tokenizer);
  EXPECT_THROW(stream.push(1 << 20), Error);
}

TEST(Tokenizer, FindsTokensByTheirText) {
  const auto byte_level = tiny_byte_level("gpt-2").load();
  EXPECT_EQ(byte_level->piece(byte_level->find(" world")), " world");
  EXPECT_EQ(byte_level->find("<s>"), byte_level->bos());
  EXPECT_EQ(byte_level->find("no such token"), kNoToken);
  EXPECT_EQ(byte_level->find(""), kNoToken);
  const auto spm = tiny_sentencepiece().load();
  EXPECT_EQ(spm->piece(spm->find(" world")), " world");
  const auto unigram = tiny_unigram().load();
  EXPECT_EQ(unigram->piece(unigram->find("hell")), "hell");
  EXPECT_EQ(unigram->find("hel"), kNoToken);
}

TEST(Tokenizer, ByteLevelGivesEveryTextBack) {
  std::mt19937 random(5);
  for (const PreTokenizerRow& row : pre_tokenizers()) {
    const auto tokenizer = tiny_byte_level(std::string(row.name)).load();
    for (int round = 0; round < 40; ++round) {
      const std::string text = random_unicode(random, true);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, kPlain)), text) << row.name;
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, kParsed)), text) << row.name;
    }
  }
}

TEST(Tokenizer, SentencePieceGivesEveryTextBack) {
  std::mt19937 random(6);
  for (const bool prefix : {true, false}) {
    auto tiny = tiny_sentencepiece();
    tiny.flags = {{"add_space_prefix", prefix}};
    const auto tokenizer = tiny.load();
    for (int round = 0; round < 500; ++round) {
      const std::string text = random_unicode(random, true);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, kPlain)), text);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, kParsed)), text);
    }
  }
}

TEST(StreamDecoder, PiecesTogetherAreTheTextAndNeverEndInsideACharacter) {
  std::mt19937 random(8);
  const std::unique_ptr<Tokenizer> all[] = {tiny_byte_level("lfm2").load(), tiny_sentencepiece().load(),
                                            tiny_unigram().load()};
  const auto whole = [](const std::string& text) {
    for (size_t at = 0; at < text.size(); at += utf8_at(text, at).length) {
      if (utf8_at(text, at).broken()) return false;
    }
    return true;
  };
  for (const auto& tokenizer : all) {
    for (int round = 0; round < 300; ++round) {
      const bool special = round % 2 == 0;
      const auto ids = tokenizer->encode(random_unicode(random, false), kParsed);
      StreamDecoder stream(*tokenizer, special);
      std::string text;
      for (const TokenId id : ids) {
        const std::string piece = stream.push(id);
        ASSERT_TRUE(whole(piece));
        text += piece;
      }
      text += stream.finish();
      ASSERT_EQ(text, tokenizer->decode(ids, special));
    }
  }
}

TEST(StreamDecoder, BrokenBytesBecomeReplacementsWhereverTheyStand) {
  const auto tokenizer = tiny_byte_level("gpt-2").load();
  const auto streamed = [&](std::string_view bytes) {
    StreamDecoder stream(*tokenizer);
    std::string text;
    for (const char c : bytes) text += stream.push(tokenizer->find(std::string_view(&c, 1))) + "|";
    return text + stream.finish();
  };
  EXPECT_EQ(streamed("\xE2\x82\xAC"), "||\u20AC|");
  EXPECT_EQ(streamed("\xE2\x82!"), "||\uFFFD!|");
  EXPECT_EQ(streamed("\xF0\x9F"), "||\uFFFD");
  EXPECT_EQ(streamed("\xED\xA0\x80"), "|\uFFFD\uFFFD|\uFFFD|");  // a surrogate
  EXPECT_EQ(streamed("\xFFx"), "\uFFFD|x|");
}

// As Python's bytes.decode("utf8", "replace") has them: one replacement for the beginning of a character.
TEST(StreamDecoder, ReplacesBrokenBytesAsPythonDoes) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
      {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
      {"\xF0\x9F\x41", "\xEF\xBF\xBD\x41"},
      {"\x61\xE2\x82", "\x61\xEF\xBF\xBD"},
      {"\xE2\x82\xE2\x82\xAC", "\xEF\xBF\xBD\xE2\x82\xAC"},
      {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xE0\x80\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xF0\x80\x80\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xED\xBF\xBF\x21", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x21"},
      {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xF8\x88\x80\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xC3\xC3\xA9", "\xEF\xBF\xBD\xC3\xA9"},
      {"\xF0\x9F\xF0\x9F\x98\x80", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
      {"\x80\xBF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xE1\xA0\xC0\xE1\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
  };
  const auto tokenizer = tiny_byte_level("gpt-2").load();
  for (const auto& [bytes, text] : cases) {
    StreamDecoder stream(*tokenizer);
    std::string got;
    for (const char c : bytes) got += stream.push(tokenizer->find(std::string_view(&c, 1)));
    EXPECT_EQ(got + stream.finish(), text);
  }
}

TEST(Tokenizer, EncodesTheSameFromAnyThread) {
  const auto tokenizer = tiny_byte_level("smollm").load();
  std::mt19937 random(9);
  std::vector<std::string> texts(200);
  std::vector<Ids> expected;
  for (auto& text : texts) text = random_unicode(random, true), expected.push_back(tokenizer->encode(text, kPlain));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < texts.size(); ++i) wrong[t] += tokenizer->encode(texts[i], kPlain) != expected[i];
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

// Time of a megabyte against a sixteenth of it: 16 where it is linear, 256 where it is quadratic.
TEST(Tokenizer, TakesLinearTimeForAnyText) {
  const char* const kUnits[] = {"a", " ", "7", "\u0301", "x y", "\xFF", "<tool>"};
  const std::unique_ptr<Tokenizer> all[] = {tiny_byte_level("gpt-2").load(), tiny_byte_level("qwen35").load(),
                                            tiny_sentencepiece().load(), tiny_unigram().load()};
  for (const auto& tokenizer : all) {
    for (const std::string unit : kUnits) {
      const auto seconds = [&](size_t bytes) {
        std::string text;
        while (text.size() < bytes) text += unit;
        const double start = cpu_seconds();
        EXPECT_FALSE(tokenizer->encode(text).empty());
        return cpu_seconds() - start;
      };
      const double small = std::max(seconds(1 << 16), 1e-3);
      EXPECT_LT(seconds(1 << 20), 100 * small) << testing::PrintToString(unit);
    }
  }
}

}  // namespace
}  // namespace fieldprint
