#include "train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "fieldprint/error.h"
#include "support/files.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class TrainCheckpoint : public testing::Test {
 protected:
  TrainCheckpoint() { std::filesystem::create_directories(folder_); }
  ~TrainCheckpoint() override { std::filesystem::remove_all(folder_); }

  Checkpoint some(int64_t step) const {
    return {.step = step,
            .skipped = 3,
            .seed = ~uint64_t{0},
            .model = "the model",
            .data = "the data",
            .options = "adamw",
            .extra = "{\"epoch\": 1}",
            .tensors = {{"blk.0.attn_q.weight", values_}, {"moment.mean", std::span(values_).first(3)}}};
  }
  std::string path(int64_t step) const { return checkpoint_path(folder_, step); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) found.push_back(entry.path().filename());
    return found;
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("fieldprint-checkpoint-" + std::to_string(::getpid()));
  const std::vector<float> values_ = {1.5f, -0.0f, 3e-39f, -7, 0.1f};
};

bool same(const Checkpoint& a, const Checkpoint& b) {
  const auto rest = [](const Checkpoint& c) {
    return std::tie(c.step, c.skipped, c.seed, c.model, c.data, c.options, c.extra);
  };
  return rest(a) == rest(b) && std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(), b.tensors.end(),
                                          [](const auto& x, const auto& y) {
                                            return x.first == y.first && std::ranges::equal(x.second, y.second);
                                          });
}

TEST_F(TrainCheckpoint, ComesBack) {
  write_checkpoint(path(7), some(7));
  EXPECT_EQ(names(), std::vector<std::string>{"step-00000007.ckpt.gguf"});
  const Checkpoint back = read_checkpoint(path(7));
  EXPECT_TRUE(same(back, some(7)));
  EXPECT_TRUE(std::signbit(back.tensors[0].second[1]));
}

TEST_F(TrainCheckpoint, ThatWasAlteredAnywhereIsRefused) {
  write_checkpoint(path(7), some(7));
  const std::string whole = slurp(path(7));
  int refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string altered = whole;
    altered[i] = static_cast<char>(altered[i] ^ 0x10);
    spill(path(8), altered);
    try {
      EXPECT_TRUE(same(read_checkpoint(path(8)), some(7))) << "byte " << i;  // it was padding
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::kBadFile || error.kind() == ErrorKind::kUnsupported) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()) - 150);
  std::string altered = whole;
  altered[altered.find("the data")] = 'T';
  spill(path(8), altered);
  EXPECT_THAT(refusal([&] { (void)read_checkpoint(path(8)); }), HasSubstr(path(8) + ": the checkpoint was altered"));
}

TEST_F(TrainCheckpoint, ThatWasCutShortIsRefusedAndTheOneBeforeIsUsed) {
  EXPECT_EQ(newest_checkpoint(folder_), "");
  EXPECT_EQ(newest_checkpoint((folder_ / "no such folder").string()), "");
  write_checkpoint(path(9), some(9));
  write_checkpoint(path(10), some(10));
  write_checkpoint(path(123456789), some(123456789));
  EXPECT_EQ(newest_checkpoint(folder_), path(123456789));
  const std::string whole = slurp(path(10));
  for (size_t size = 0; size + 32 < whole.size(); size += 37) {  // what is at the end may be padding
    spill(path(10), whole.substr(0, size));
    EXPECT_THROW((void)read_checkpoint(path(10)), Error) << size;
  }
  spill(path(10), whole.substr(0, whole.size() / 2));
  spill(path(123456789), "GGUF");
  EXPECT_EQ(newest_checkpoint(folder_), path(9));
}

TEST_F(TrainCheckpoint, WhereNoneIsWholeNothingBeginsAnew) {
  spill(path(9), "GGUF");
  spill(path(10), "");
  EXPECT_THROW((void)newest_checkpoint(folder_), Error);
}

TEST_F(TrainCheckpoint, OnlyTheNewestAreKept) {
  for (int64_t step = 1; step <= 12; ++step) write_checkpoint(path(step), some(step));
  spill(folder_ / "step-1.gguf", "something else");
  spill(path(11) + ".part-1-0", "of a writer that died");
  drop_old_checkpoints(folder_, 0, 12);
  EXPECT_EQ(names().size(), 13u);
  spill(path(50), "damaged");
  drop_old_checkpoints(folder_, 3, 12);
  EXPECT_THAT(names(),
              testing::UnorderedElementsAre("step-00000010.ckpt.gguf", "step-00000011.ckpt.gguf",
                                            "step-00000012.ckpt.gguf", "step-00000050.ckpt.gguf", "step-1.gguf"));
}

TEST_F(TrainCheckpoint, OnAFullDiskTheOldOneStays) {
  write_checkpoint(path(1), some(1));
  const std::string before = slurp(path(1));
  const std::vector<float> large(10'000, 0.5f);
  Checkpoint checkpoint = some(1);
  checkpoint.tensors[0].second = large;
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit tight{4096, limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // then write() fails, as on a full disk
  ::setrlimit(RLIMIT_FSIZE, &tight);
  ErrorKind kind = ErrorKind::kUsage;
  try {
    write_checkpoint(path(1), checkpoint);
  } catch (const Error& error) {
    kind = error.kind();
  }
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(kind, ErrorKind::kIo);
  EXPECT_EQ(slurp(path(1)), before);
  EXPECT_EQ(names().size(), 1u);
  EXPECT_EQ(newest_checkpoint(folder_), path(1));
}

TEST_F(TrainCheckpoint, IsNoOtherGguf) {
  GgufWriter writer;
  writer.set("general.type", "imatrix");
  writer.write(path(1));
  EXPECT_THAT(refusal([&] { (void)read_checkpoint(path(1)); }), HasSubstr("is no checkpoint"));
}

}  // namespace
}  // namespace fieldprint
