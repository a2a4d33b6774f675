#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "fieldprint/error.h"
#include "support/tiny_vocabulary.h"
#include "text/charsmap.h"
#include "text/spaces.h"

namespace fieldprint {
namespace {

using testing::ElementsAre;

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::string> list;
  for (const TokenId id : tokenizer.encode(text, kPlain)) list.emplace_back(tokenizer.piece(id));
  return list;
}

// The best sum of scores over all ways to cut `text`, by trying them all.
double best_score(const std::map<std::string, double>& scores, const std::string& text) {
  if (text.empty()) return 0;
  double best = -1e30;
  for (size_t length = 1; length <= text.size(); ++length) {
    const auto token = scores.find(text.substr(0, length));
    if (token != scores.end()) best = std::max(best, token->second + best_score(scores, text.substr(length)));
  }
  return best;
}

TEST(Unigram, FindsTheBestOfAllWaysToCut) {
  const auto tiny = tiny_unigram();
  const auto tokenizer = tiny.load();
  std::map<std::string, double> scores;
  for (size_t i = 3; i < tiny.tokens.size(); ++i) {
    if (tiny.kinds[i] == kTinyNormal) scores[tiny.tokens[i]] = static_cast<double>(tiny.scores[i]);
  }
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (size_t i = 1 + random() % 9; i > 0; --i) text += "hellowrda "[random() % 10];
    const auto ids = tokenizer->encode(text, kPlain);
    double sum = 0;
    std::string joined;
    for (const TokenId id : ids) {
      sum += static_cast<double>(tiny.scores[static_cast<size_t>(id)]);
      joined += tiny.tokens[static_cast<size_t>(id)];
    }
    // The prefix goes before the first word; a text that begins with spaces keeps them.
    const std::string trimmed =
        text.find_first_not_of(' ') == text.npos ? "" : text.substr(text.find_first_not_of(' '));
    const std::string normal = mark_spaces(text.substr(0, text.size() - trimmed.size()), false) +
                               (trimmed.empty() ? "" : mark_spaces(trimmed, true));
    ASSERT_EQ(joined, normal);
    ASSERT_NEAR(sum, best_score(scores, normal), 1e-9) << text;
  }
}

TEST(Unigram, UnknownCharactersAreOneUnknownTokenARunOrBytes) {
  auto tiny = tiny_unigram();
  EXPECT_THAT(pieces(*tiny.load(), "hello \u20AC\u20AC o"), ElementsAre(" hello", " ", "<unk>", " ", "o"));
  for (const char* byte : {"<0xE2>", "<0x82>", "<0xAC>"}) tiny.add(byte, kTinyByte);
  EXPECT_THAT(pieces(*tiny.load(), "\u20AC\u20AD"), ElementsAre(" ", "\xE2", "\x82", "\xAC", "<unk>"));
}

TEST(Unigram, MayMergeSpaces) {
  auto tiny = tiny_unigram();
  EXPECT_THAT(pieces(*tiny.load(), "hello  o "), ElementsAre(" hello", " ", " ", "o", " "));
  tiny.flags.emplace_back("remove_extra_whitespaces", true);
  EXPECT_THAT(pieces(*tiny.load(), "  hello  o "), ElementsAre(" hello", " ", "o"));
}

TEST(Unigram, BrokenBytesAreReplacementCharacters) {
  auto tiny = tiny_unigram();
  tiny.add("\uFFFD", kTinyNormal, -3);
  EXPECT_THAT(pieces(*tiny.load(), "\xFFo"), ElementsAre(" ", "\uFFFD", "o"));
}

// A map as files carry it, made the slow way: children are put wherever they fit.
std::vector<int32_t> charsmap_bytes(const std::map<std::string, std::string>& replacements) {
  std::vector<uint32_t> units(1 << 16, 0);
  std::vector<bool> taken(units.size(), false);
  taken[0] = true;
  std::set<size_t> bases;
  std::string texts;
  const auto place = [&](auto&& self, size_t index, const std::string& prefix) -> void {
    std::vector<uint8_t> bytes;
    if (replacements.count(prefix) != 0) bytes.push_back(0);
    for (int byte = 1; byte < 256; ++byte) {
      const auto next = replacements.lower_bound(prefix + static_cast<char>(byte));
      if (next != replacements.end() && next->first.starts_with(prefix + static_cast<char>(byte))) {
        bytes.push_back(static_cast<uint8_t>(byte));
      }
    }
    size_t base = 0x100;
    const auto free = [&] {  // no two nodes may share a base, or one would find the other's children
      return bases.count(base) == 0 &&
             std::none_of(bytes.begin(), bytes.end(), [&](uint8_t byte) { return taken[base ^ byte]; });
    };
    while (!free()) ++base;
    bases.insert(base);
    units[index] |= static_cast<uint32_t>(index ^ base) << 10;
    for (const uint8_t byte : bytes) taken[base ^ byte] = true;
    for (const uint8_t byte : bytes) {
      if (byte == 0) {
        units[index] |= 1u << 8;
        units[base] = 1u << 31 | static_cast<uint32_t>(texts.size());
        texts += replacements.at(prefix) + '\0';
      } else {
        units[base ^ byte] = byte;
        self(self, base ^ byte, prefix + static_cast<char>(byte));
      }
    }
  };
  place(place, 0, "");
  std::vector<int32_t> bytes;
  const auto put = [&](uint32_t word) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<int32_t>(word >> 8 * i & 0xFF));
  };
  put(static_cast<uint32_t>(4 * units.size()));
  for (const uint32_t unit : units) put(unit);
  for (const char c : texts) bytes.push_back(static_cast<uint8_t>(c));
  return bytes;
}

TEST(Charsmap, ReplacesTheLongestKey) {
  GgufWriter writer;
  writer.set("map", charsmap_bytes({{"A", "a"}, {"AE", "\u00E6"}, {"\uFB01", "fi"}, {"\t", " "}, {"\u200B", ""}}));
  const auto bytes = writer.bytes();
  const auto file = GgufFile::parse(bytes, "map");
  const Charsmap map(file->array("map"));
  const auto normal = [&](std::string_view text) {
    std::string result;
    for (size_t at = 0; at < text.size();) {
      const auto step = map.step(text, at);
      result += step.replacement;
      at += step.consumed;
    }
    return result;
  };
  EXPECT_EQ(normal("BAEAbA"), "B\u00E6aba");
  EXPECT_EQ(normal("\uFB01\t\u200B\u20AC"), "fi \u20AC");
  EXPECT_EQ(normal(std::string_view("\0A\xFF", 3)), std::string_view("\0a\uFFFD", 5));
}

TEST(Charsmap, DamagedMapsAreErrorsOrReplaceNothing) {
  const auto parse = [](std::vector<int32_t> bytes, std::string_view text) {
    GgufWriter writer;
    writer.set("map", std::move(bytes));
    const auto file_bytes = writer.bytes();
    const auto file = GgufFile::parse(file_bytes, "map");
    const Charsmap map(file->array("map"));
    for (size_t at = 0; at < text.size();) at += map.step(text, at).consumed;
  };
  EXPECT_THROW(parse({1, 2}, ""), Error);
  EXPECT_THROW(parse({8, 0, 0, 0, 1, 1, 1, 1}, ""), Error);  // the trie reaches beyond the end
  EXPECT_THROW(parse({0, 0, 0, 0, 'x'}, ""), Error);         // a replacement without an end
  auto outside = charsmap_bytes({{"A", "a"}});
  outside.resize(outside.size() - 2);  // the only replacement is cut off
  EXPECT_THROW(parse(outside, "A"), Error);
  auto random_map = charsmap_bytes({{"A", "a"}, {"AE", "e"}});
  std::mt19937 random(2);
  for (int round = 0; round < 20; ++round) {
    for (size_t i = 4; i < 4096; ++i) random_map[i] = static_cast<int32_t>(random() % 256);
    try {
      parse(random_map, "AEAE\xFFhello \u20AC");
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace fieldprint
