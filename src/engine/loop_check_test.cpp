#include "engine/loop_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/session.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

// How many tokens of `tokens` come out before a loop is seen; -1: all.
int seen_at(const std::vector<TokenId>& tokens) {
  LoopCheck check;
  for (size_t n = 1; n <= tokens.size(); ++n) {
    if (check.in_loop(std::span(tokens).first(n))) return static_cast<int>(n);
  }
  return -1;
}

std::vector<TokenId> loop(int before, int period, int tokens) {
  std::vector<TokenId> all;
  for (int i = 0; i < before; ++i) all.push_back(1000 + i);
  for (int i = 0; i < tokens; ++i) all.push_back(i % period);
  return all;
}

TEST(LoopCheck, SeesPeriodsOfTheDefinition) {
  for (const int before : {0, 1, 300}) {
    EXPECT_EQ(seen_at(loop(before, 1, 600)), before + 512);
    EXPECT_EQ(seen_at(loop(before, 7, 600)), before + 512);
    EXPECT_EQ(seen_at(loop(before, 128, 600)), before + 512);
    EXPECT_EQ(seen_at(loop(before, 200, 1000)), before + 800) << "four periods";
    EXPECT_EQ(seen_at(loop(before, 256, 2000)), before + 1024);
    EXPECT_EQ(seen_at(loop(before, 257, 5000)), -1) << "too long a period";
    EXPECT_EQ(seen_at(loop(before, 7, 511)), -1);
  }
  auto almost = loop(0, 10, 2000);
  for (size_t i = 400; i < almost.size(); i += 400) almost[i] = 99;
  EXPECT_EQ(seen_at(almost), -1) << "a difference every 400 tokens";
}

TEST(LoopCheck, AgreesWithTheDefinitionOnAnyTokens) {
  Rng rng(1);
  for (int round = 0; round < 60; ++round) {
    std::vector<TokenId> tokens;
    while (tokens.size() < 2500) {
      const auto period = static_cast<size_t>(1 + rng.below(300)), count = static_cast<size_t>(rng.below(1200));
      for (int64_t i = rng.below(40); i > 0; --i) tokens.push_back(static_cast<TokenId>(rng.below(3)));
      for (size_t i = 0; i < count && tokens.size() >= period; ++i) tokens.push_back(tokens[tokens.size() - period]);
      tokens.push_back(static_cast<TokenId>(rng.below(3)));
    }
    int expected = -1;
    for (size_t n = 1; n <= tokens.size() && expected < 0; ++n) {
      for (size_t p = 1; p <= 256; ++p) {
        const size_t wanted = std::max<size_t>(512, 4 * p);
        if (n < wanted) continue;
        bool same = true;
        for (size_t i = n - wanted + p; same && i < n; ++i) same = tokens[i] == tokens[i - p];
        if (same) expected = static_cast<int>(n);
      }
    }
    EXPECT_EQ(seen_at(tokens), expected);
  }
}

// ---- Long answers that repeat much and are no loops.

std::string word(Rng& rng) {
  static const char* const kWords[] = {"river", "stone", "winter", "garden", "light", "quiet", "letter", "window",
                                       "north", "apple", "silver", "market", "table", "music", "paper",  "bridge"};
  return kWords[rng.below(std::size(kWords))];
}

std::string table(Rng& rng) {
  std::string text = "| no | item | colour | in stock | price |\n|---|---|---|---|---|\n";
  const int64_t same = rng.below(3);  // rows that differ in their number alone
  for (int i = 1; i <= 80; ++i)
    text += fmt::format("| {} | {} | {} | yes | 10.00 |\n", i, same == 0 ? "pen" : word(rng),
                        same <= 1 ? "blue" : word(rng));
  return text;
}

std::string list(Rng& rng) {
  std::string text;
  const std::string verb = word(rng);
  for (int i = 1; i <= 120; ++i)
    text += fmt::format("{}. I will not {} in class.\n", i, rng.below(2) == 0 ? verb : "talk");
  return text;
}

std::string code(Rng& rng) {
  std::string text = "#include <stdio.h>\n\n";
  for (int i = 0; i < 40; ++i) {
    text += fmt::format(
        "int get_{0}_{1}(struct state* s) {{\n  if (s == NULL) {{\n    return -1;\n  }}\n  return s->{0}_{1};\n}}\n\n",
        word(rng), i);
  }
  text += "static const unsigned char table[256] = {\n";
  for (int i = 0; i < 32; ++i) text += "    0x00, 0x01, 0x01, 0x02, 0x01, 0x02, " + fmt::format("0x{:02x}, 0x03,\n", i);
  return text + "};\n";
}

std::string poem(Rng& rng) {
  std::string text;
  const std::string refrain = fmt::format("And the {} sings, the {} sings,\nand all the {} is mine, is mine.\n\n",
                                          word(rng), word(rng), word(rng));
  for (int verse = 0; verse < 16; ++verse) {
    for (int line = 0; line < 4; ++line)
      text += fmt::format("The {} was a {} by the {},\n", word(rng), word(rng), word(rng));
    text += refrain;
  }
  for (int i = 0; i < 4; ++i) text += refrain;  // the end of a song
  return text;
}

std::string records(Rng& rng) {
  std::string text = "[\n";
  for (int i = 0; i < 50; ++i)
    text += fmt::format("  {{\"id\": {}, \"name\": \"{}\", \"tags\": [], \"active\": true, \"parent\": null}},\n", i,
                        word(rng));
  return text + "]\n";
}

std::string matrix(Rng& rng) {
  const int64_t size = 8 + rng.below(5), ones = rng.below(2);
  std::string text;
  for (int64_t i = 0; i < size; ++i) {
    text += "[";
    for (int64_t j = 0; j < size; ++j) text += fmt::format("{}, ", ones == 1 && i == j ? 1 : 0);
    text += "],\n";
  }
  for (int i = 0; i < 60; ++i) text += fmt::format("row {}: {}\n", i, word(rng));
  return text;
}

std::string sums(Rng& rng) {
  std::string text;
  const int64_t factor = 2 + rng.below(8);
  for (int i = 1; i <= 90; ++i) text += fmt::format("{} x {} = {}\n", factor, i, factor * i);
  return text;
}

std::string log_lines(Rng& rng) {
  std::string text;
  for (int i = 0; i < 60; ++i)
    text += fmt::format("2024-05-01 12:{:02}:{:02} INFO server: request done in {} ms\n", i / 60, i % 60,
                        10 + rng.below(3));
  return text;
}

std::string bottles(Rng&) {
  std::string text;
  for (int i = 60; i > 0; --i) {
    text += fmt::format(
        "{0} bottles of beer on the wall, {0} bottles of beer.\nTake one down and pass it around, {1} bottles of "
        "beer on the wall.\n\n",
        i, i - 1);
  }
  return text;
}

std::string dialogue(Rng& rng) {
  std::string text;
  for (int i = 0; i < 120; ++i)
    text += fmt::format("{}: Yes.\n{}: {}?\n", "Ann", "Ben", rng.below(4) == 0 ? word(rng) : "And then");
  return text;
}

TEST(LoopCheck, IsSilentOnLongAnswersThatRepeatMuch) {
  std::shared_ptr<const Model> model;
  try {
    model = Model::load(resolve_model(std::string(kDefaultModel)), {.threads = 1});
  } catch (const Error&) {
    GTEST_SKIP() << "the default model has not been pulled";
  }
  using Maker = std::string (*)(Rng&);
  const Maker makers[] = {table, list, code, poem, records, matrix, sums, log_lines, bottles, dialogue};
  int texts = 0, tokens = 0;
  for (const Maker make : makers) {
    for (uint64_t seed = 0; seed < 20; ++seed, ++texts) {
      Rng rng(seed);
      const std::string text = make(rng);
      const auto ids = model->tokenizer().encode(text);
      tokens += static_cast<int>(ids.size());
      EXPECT_EQ(seen_at(ids), -1) << text.substr(0, 300);
    }
  }
  EXPECT_EQ(texts, 200);
  EXPECT_GT(tokens / texts, 600);
}

TEST(LoopCheck, EndsAnAnswerAndSaysSo) {
  const TinyModelFile file({.type = "Q8_0"});
  const auto model = Model::load(file.path(), {.threads = 1});
  SamplingOptions sampling;
  for (TokenId t = 0; t < model->info().vocabulary; ++t) {
    if (t != 70) sampling.logit_bias.emplace_back(t, -INFINITY);
  }
  sampling.max_tokens = 700;
  const std::vector<TokenId> prompt(600, 70);  // what the user says does not count
  Session session(model);
  const Generation stopped = session.generate(std::span<const TokenId>(prompt), sampling);
  EXPECT_EQ(stopped.reason, FinishReason::kLoop);
  EXPECT_EQ(stopped.tokens.size(), 512u);
  sampling.loop_check = false;
  const Generation on = session.generate(std::span<const TokenId>(prompt), sampling);
  EXPECT_EQ(on.reason, FinishReason::kLength);
  EXPECT_EQ(on.tokens.size(), 700u);
}

}  // namespace
}  // namespace fieldprint
