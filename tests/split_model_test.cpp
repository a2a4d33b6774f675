// A model in several files computes the bits that it computes in one, and becomes one file again.
#include <gtest/gtest.h>

#include "fieldprint/quantize.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

std::vector<float> logits_of(const std::string& path) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 70; ++i) tokens.push_back((i * 97 + 31) % 256);
  Session session(Model::load(path, {.threads = 2}));
  session.append(tokens);
  return {session.logits().begin(), session.logits().end()};
}

TEST(SplitModel, ComputesTheBitsOfTheWholeOne) {
  const TempHome home;
  const auto path = [&](const char* name) { return (home.path() / name).string(); };
  SynthOptions synth_options;
  synth_options.preset = "tiny-lfm2moe";
  synth_options.mix = "F16";
  synth(path("f16.gguf"), synth_options);
  QuantizeOptions options;
  options.mix = "Q4_K_M";
  EXPECT_EQ(quantize(path("f16.gguf"), path("whole.gguf"), options).files, std::vector{path("whole.gguf")});
  options.split_bytes = 100'000;
  const auto files = quantize(path("f16.gguf"), path("split.gguf"), options).files;
  ASSERT_GT(files.size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(path("split.gguf")));
  EXPECT_EQ(logits_of(files[0]), logits_of(path("whole.gguf")));
  EXPECT_EQ(inspect_model(files[0]).files, static_cast<int>(files.size()));

  // And back: copied as it is, byte for byte the file that was never split.
  options.split_bytes = 0;
  quantize(files[0], path("joined.gguf"), options);
  EXPECT_EQ(read_file(path("joined.gguf")), read_file(path("whole.gguf")));
}

}  // namespace
}  // namespace fieldprint
