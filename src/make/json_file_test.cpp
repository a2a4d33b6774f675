#include "make/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class JsonFileTest : public testing::Test {
 protected:
  ~JsonFileTest() override { std::filesystem::remove(path_); }

  JsonFile file(const std::string& text) const {
    std::ofstream(path_, std::ios::binary) << text;
    return JsonFile(path_);
  }
  std::string refusal(const std::string& text) const {
    try {
      file(text).number("a");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
      return error.what();
    }
    return "accepted";
  }

  std::string path_ =
      (std::filesystem::temp_directory_path() / ("fieldprint-json-" + std::to_string(::getpid()) + ".json")).string();
};

// Python's json writes NaN and Infinity, so config.json may hold them; a number that is used must be one.
TEST_F(JsonFileTest, HoldsWhatPythonWrites) {
  const JsonFile json = file(R"({"limits": [0.0, Infinity], "nothing": NaN, "a": 2})");
  EXPECT_EQ(json.number("a"), 2);
  EXPECT_TRUE(std::isinf(json.find("limits")->at(1).get<double>()));
  EXPECT_THAT(refusal(R"({"a": NaN})"), HasSubstr("a should be a finite number"));
  EXPECT_THAT(refusal(R"({"a": -Infinity})"), HasSubstr("a should be a finite number"));
}

TEST_F(JsonFileTest, NamesWhatIsWrong) {
  EXPECT_THAT(refusal("{\n\"a\": }"), HasSubstr(path_ + ": this is not valid JSON (line 2, column 6)"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("has no a"));
  // 100,000 levels in generation_config.json once overflowed the stack.
  EXPECT_THAT(refusal("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
              HasSubstr("levels deep"));
}

}  // namespace
}  // namespace fieldprint
