// Real templates of published models against what Jinja2 makes of them.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fieldprint/chat_template.h"
#include "fieldprint/error.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::time_t golden_time() {
  std::tm parts{};
  parts.tm_year = 2026 - 1900, parts.tm_mon = 2, parts.tm_mday = 9;
  parts.tm_hour = 14, parts.tm_min = 5, parts.tm_sec = 7, parts.tm_isdst = -1;
  return std::mktime(&parts);
}

TEST(ChatTemplateGolden, EveryOutputByteForByte) {
  const auto folder = shared_dir() / "golden" / "templates";
  if (shared_dir().empty() || !std::filesystem::exists(folder / "cases.jsonl")) {
    GTEST_SKIP() << "../shared/golden/templates is not here";
  }
  RenderOptions options;
  options.now = golden_time();
  std::map<std::string, ChatTemplate> templates;
  std::ifstream cases(folder / "cases.jsonl");
  int outputs = 0, errors = 0;
  for (std::string line; std::getline(cases, line);) {
    const auto test = nlohmann::ordered_json::parse(line);
    const std::string name = test["template"], label = name + " / " + std::string(test["case"]);
    auto known = templates.find(name);
    if (known == templates.end()) known = templates.emplace(name, ChatTemplate(read_text(folder / name))).first;
    try {
      const std::string output = known->second.render(test["input"].dump(), options);
      ASSERT_TRUE(test.contains("output")) << label << " must fail: " << test["error"];
      EXPECT_EQ(output, test["output"].get<std::string>()) << label;
      ++outputs;
    } catch (const Error& error) {
      ASSERT_TRUE(test.contains("error")) << label << ": " << error.what();
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << label;
      // What the template did not raise itself says its line first.
      const std::string wanted = test["error"], got = error.what();
      EXPECT_TRUE(got == wanted || got.ends_with(": " + wanted)) << label << "\n  " << wanted << "\n  " << got;
      ++errors;
    }
  }
  EXPECT_EQ(templates.size(), 49u);
  EXPECT_EQ(outputs + errors, 49 * 25);
  EXPECT_GT(errors, 100);
}

}  // namespace
}  // namespace fieldprint
