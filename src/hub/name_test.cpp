#include "hub/name.h"

#include <gtest/gtest.h>

#include <string>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

TEST(HubName, TheFormsThatNameAFile) {
  for (const char* name : {"LiquidAI/LFM2-GGUF:a-Q4_K_M.gguf", "hf:LiquidAI/LFM2-GGUF:a-Q4_K_M.gguf",
                           "https://huggingface.co/LiquidAI/LFM2-GGUF/resolve/main/a-Q4_K_M.gguf?download=true",
                           "https://huggingface.co/LiquidAI/LFM2-GGUF/blob/main/a-Q4_K_M.gguf",
                           "https://hf.co/LiquidAI/LFM2-GGUF/blob/main/a-Q4_K_M.gguf#x"}) {
    const auto hub = parse_hub_name(name);
    ASSERT_TRUE(hub) << name;
    EXPECT_EQ(hub->owner, "LiquidAI");
    EXPECT_EQ(hub->repo, "LFM2-GGUF");
    EXPECT_EQ(hub->file, "a-Q4_K_M.gguf");
    EXPECT_EQ(hub->spelled(), "LiquidAI/LFM2-GGUF:a-Q4_K_M.gguf");
  }
  EXPECT_EQ(parse_hub_name("a/b:Q4/part-00001-of-00002.gguf")->file, "Q4/part-00001-of-00002.gguf");
}

TEST(HubName, OtherNamesAreNotOfTheHub) {
  for (const char* name : {"", "smollm2-135m", "model.gguf", "models/model.gguf", "/tmp/a:b.gguf", "./a/b:c.gguf",
                           "../b:c.gguf", "a/b", "a:b/c.gguf", "a/b/c:d.gguf", "~/models:x.gguf"}) {
    EXPECT_FALSE(parse_hub_name(name)) << name;
  }
}

TEST(HubName, HostileNamesAreRefused) {
  const std::string nul("a/b:c\0d.gguf", 12);
  for (const std::string& name : {std::string("a/b:../../../etc/x.gguf"),
                                  std::string("a/b:/etc/x.gguf"),
                                  std::string("a/b:x/../y.gguf"),
                                  std::string("a/b:.x.gguf"),
                                  std::string("a/b:x//y.gguf"),
                                  std::string("a/b:x\\..\\y.gguf"),
                                  std::string("a/b:x\ny.gguf"),
                                  std::string("a/b:\x1b[2J.gguf"),
                                  nul,
                                  std::string("a/..:x.gguf"),
                                  std::string("hf:../b:x.gguf"),
                                  std::string("hf:a/b"),
                                  std::string("hf:a/b:"),
                                  std::string("hf:a b/c:x.gguf"),
                                  std::string("a/b:weights.bin"),
                                  std::string("hf:a/b@main:x.gguf"),
                                  std::string("https://example.org/a/b/resolve/main/x.gguf"),
                                  std::string("https://huggingface.co/a/b"),
                                  std::string("https://huggingface.co/a/b/resolve/main/../../x.gguf"),
                                  "a/b:" + std::string(300, 'x') + ".gguf",
                                  "a/" + std::string(100, 'x') + ":x.gguf",
                                  std::string("a/b:1/2/3/4/5/6/7/8/9.gguf")}) {
    try {
      parse_hub_name(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << name;
      EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos);
      EXPECT_LT(std::string(error.what()).size(), 600u);
    }
  }
}

TEST(HubName, UrlPathsAreEncoded) {
  EXPECT_EQ(percent_encode_path("Q4/my model+%?#&.gguf"), "Q4/my%20model%2B%25%3F%23%26.gguf");
  EXPECT_EQ(percent_encode_path("\xc3\xa9"), "%C3%A9");
}

}  // namespace
}  // namespace fieldprint
