#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <thread>

#include "fieldprint/error.h"
#include "support/files.h"
#include "support/training.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

TrainerOptions some_options() {
  return {.optimizer = {.weight_decay = 0.1},
          .schedule = {.peak = 1e-2, .floor = 1e-3, .warmup = 3, .steps = 40, .decay = Decay::kCosine},
          .clip = 1,
          .seed = 5};
}

// One step of length 1 along the gradient.
TrainerOptions plain_step(double clip = 0) {
  return {.optimizer = {.name = "sgd"}, .schedule = {.peak = 1, .steps = 1}, .clip = clip};
}

double length(std::span<const float> x) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

std::vector<float> difference(std::span<const float> a, std::span<const float> b) {
  std::vector<float> result(a.size());
  for (size_t i = 0; i < a.size(); ++i) result[i] = a[i] - b[i];
  return result;
}

TEST(TrainerLoop, Learns) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  class Same final : public RandomDocuments {
   public:
    Same() : RandomDocuments(2, 2) {}
    std::vector<MicroBatch> batch(int64_t) override { return RandomDocuments::batch(1); }
  } source;
  Trainer trainer(*model, source, some_options());
  const std::vector<MicroBatch> batches = source.batch(1);
  const EvalReport before = trainer.evaluate(batches);
  StepReport first, last;
  for (int step = 1; step <= 40; ++step) {
    last = trainer.advance();
    if (step == 1) first = last;
    EXPECT_EQ(last.step, step);
    EXPECT_FALSE(last.skipped);
  }
  EXPECT_NEAR(first.loss, before.loss, 1e-9);
  EXPECT_EQ(first.weight, before.weight);
  EXPECT_GT(before.loss, 4);
  EXPECT_LT(last.loss, 1);
  const EvalReport after = trainer.evaluate(batches);
  EXPECT_LT(after.loss, last.loss);
  EXPECT_GT(after.accuracy, 0.9);
  EXPECT_EQ(trainer.step(), 40);
  EXPECT_EQ(trainer.skipped(), 0);
}

TEST(TrainerLoop, ABatchThatIsNoFiniteNumberMovesNothingAndIsCounted) {
  const TrainingFolder folder;
  const std::string file = write_tiny_llama(folder);
  const auto model = trainable(file);
  RandomDocuments source(2, 2);
  source.spoil(3);
  Trainer trainer(*model, source, some_options());
  trainer.advance();
  trainer.advance();
  const std::vector<float> before = values_of(*model);
  const StepReport report = trainer.advance();
  EXPECT_TRUE(report.skipped);
  EXPECT_EQ(values_of(*model), before);
  EXPECT_EQ(trainer.skipped(), 1);
  EXPECT_EQ(trainer.step(), 3);
  trainer.save(folder / "a.gguf");
  EXPECT_FALSE(trainer.advance().skipped);

  // Moments did not move either, and the count is in the checkpoint.
  const auto other = trainable(file);
  Trainer resumed(*other, source, some_options());
  resumed.resume(folder / "a.gguf");
  EXPECT_EQ(resumed.skipped(), 1);
  resumed.advance();
  EXPECT_EQ(values_of(*other), values_of(*model));
  for (const float value : values_of(*model)) ASSERT_TRUE(std::isfinite(value));
}

// The correction of the moments' bias counts the steps that were taken.
TEST(TrainerLoop, AfterASkippedStepTheNextIsAsIfItHadBeenTheFirst) {
  const TrainingFolder folder;
  const std::string file = write_tiny_llama(folder);
  class From final : public RandomDocuments {
   public:
    explicit From(int64_t before) : RandomDocuments(1, 2), before_(before) {}
    std::vector<MicroBatch> batch(int64_t step) override { return RandomDocuments::batch(step + before_); }

   private:
    int64_t before_;
  } all(0), rest(1);
  all.spoil(1);
  TrainerOptions options = some_options();
  options.schedule = {.peak = 1e-2};
  const auto one = trainable(file), other = trainable(file);
  Trainer skips(*one, all, options), plain(*other, rest, options);
  EXPECT_TRUE(skips.advance().skipped);
  for (int step = 0; step < 3; ++step) {
    skips.advance();
    plain.advance();
  }
  EXPECT_EQ(values_of(*one), values_of(*other));
}

TEST(TrainerLoop, AnInfiniteGradientIsSkippedToo) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  RandomDocuments source(1, 2);
  const auto norm = std::ranges::find(model->parameters(), "output_norm.weight", &Parameter::name);
  ASSERT_NE(norm, model->parameters().end());
  norm->values[0] = std::numeric_limits<float>::infinity();
  const std::vector<float> before = values_of(*model);
  Trainer trainer(*model, source, some_options());
  EXPECT_TRUE(trainer.advance().skipped);
  EXPECT_EQ(values_of(*model), before);
  EXPECT_EQ(trainer.skipped(), 1);
}

TEST(TrainerLoop, ClipsTheNormOfAllParameters) {
  const TrainingFolder folder;
  const std::string file = write_tiny_llama(folder);
  RandomDocuments source(1, 4);
  const auto moved = [&](double clip, StepReport* report) {
    const auto model = trainable(file);
    const std::vector<float> before = values_of(*model);
    Trainer trainer(*model, source, plain_step(clip));
    *report = trainer.advance();
    return difference(values_of(*model), before);
  };
  StepReport free, clipped;
  const std::vector<float> whole = moved(0, &free), cut = moved(free.norm / 4, &clipped);
  EXPECT_NEAR(length(whole), free.norm, 1e-4 * free.norm);  // weights are rounded
  EXPECT_EQ(clipped.norm, free.norm);                       // as it was
  EXPECT_NEAR(length(cut), free.norm / 4, 1e-4 * free.norm);
  for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(cut[i], whole[i] / 4, 1e-6);
  EXPECT_EQ(moved(free.norm * 1.01, &clipped), whole);  // below it nothing changes
}

// Tokens count alike wherever they stand: unequal documents would tell a mean of means.
TEST(TrainerLoop, EightMicroBatchesAreOneOfEight) {
  const TrainingFolder folder;
  const std::string file = write_tiny_llama(folder);
  const auto moved = [&](int micro_batches, int documents, StepReport* report) {
    const auto model = trainable(file);
    RandomDocuments source(micro_batches, documents);
    const std::vector<float> before = values_of(*model);
    Trainer trainer(*model, source, plain_step());
    *report = trainer.advance();
    return difference(values_of(*model), before);
  };
  StepReport one, eight, two;
  const std::vector<float> expected = moved(1, 8, &one), alone = moved(8, 1, &eight), pairs = moved(4, 2, &two);
  EXPECT_GT(length(expected), 0.1);
  EXPECT_LT(length(difference(alone, expected)), 1e-6 * length(expected) + 1e-6);
  EXPECT_LT(length(difference(pairs, expected)), 1e-6 * length(expected) + 1e-6);
  for (const StepReport* other : {&eight, &two}) {
    EXPECT_NEAR(other->loss, one.loss, 1e-6);
    EXPECT_NEAR(other->norm, one.norm, 1e-6 * one.norm);
    EXPECT_EQ(other->accuracy, one.accuracy);
    EXPECT_EQ(other->weight, one.weight);
    EXPECT_EQ(other->passed, one.passed);
  }
}

TEST(TrainerLoop, AnyNumberOfThreadsTrainsTheSameBits) {
  const TrainingFolder folder;
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe", "tiny-qwen35", "tiny-granitehybrid"}) {
    SCOPED_TRACE(preset);
    const std::string file = write_preset(folder, preset);
    const auto train = [&](int threads) {
      const auto model = trainable(file, threads);
      RandomDocuments source(3, 2);
      Trainer trainer(*model, source, some_options());
      for (int step = 0; step < 3; ++step) trainer.advance();
      return values_of(*model);
    };
    const std::vector<float> expected = train(1);
    EXPECT_TRUE(train(2) == expected);
    EXPECT_TRUE(train(3) == expected);
  }
}

TEST(TrainerLoop, RefusesACheckpointOfAnotherTraining) {
  const TrainingFolder folder;
  const std::string file = write_tiny_llama(folder), path = folder / "a.gguf";
  RandomDocuments source(1, 2);
  const auto model = trainable(file);
  Trainer trainer(*model, source, some_options());
  trainer.advance();
  trainer.save(path, "{\"best\": 1}");
  const std::vector<float> saved = values_of(*model);
  trainer.advance();
  const std::vector<float> moved = values_of(*model);

  const auto said = [&](Trainable& other, BatchSource& data, const TrainerOptions& options) {
    const std::vector<float> before = values_of(other);
    Trainer resumed(other, data, options);
    const std::string text = refusal([&] { resumed.resume(path); });
    EXPECT_EQ(values_of(other), before);
    EXPECT_EQ(resumed.step(), 0);
    return text;
  };
  TrainerOptions options = some_options();
  options.clip = 2;
  EXPECT_THAT(said(*model, source, options), HasSubstr("of other options: adamw"));
  options = some_options();
  options.seed = 6;
  EXPECT_THAT(said(*model, source, options), HasSubstr("of another seed: 5, not 6"));
  class Other final : public RandomDocuments {
   public:
    Other() : RandomDocuments(1, 2) {}
    std::string fingerprint() const override { return "others"; }
  } data;
  EXPECT_THAT(said(*model, data, some_options()), HasSubstr("of other data: random documents, not others"));
  EXPECT_THAT(said(*trainable(write_preset(folder, "tiny-llama")), source, some_options()),
              HasSubstr("of another model"));
  TrainableOptions fewer{.threads = 2, .trained = [](const std::string& name) { return name != "output_norm.weight"; }};
  Trainable part(GgufFile::open(file), fewer);
  EXPECT_THAT(said(part, source, some_options()), HasSubstr("a training of other tensors"));
  EXPECT_THAT(refusal([&] { trainer.resume(folder / "none.gguf"); }), HasSubstr("none.gguf"));

  EXPECT_EQ(values_of(*model), moved);
  EXPECT_EQ(trainer.resume(path), "{\"best\": 1}");
  EXPECT_EQ(values_of(*model), saved);
  trainer.advance();
  EXPECT_EQ(values_of(*model), moved);
}

TEST(TrainerLoop, OptionsOutOfRangeAreRefused) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  RandomDocuments source(1, 1);
  const auto said = [&](auto change) {
    TrainerOptions options = some_options();
    change(options);
    return refusal([&] { const Trainer trainer(*model, source, options); });
  };
  EXPECT_EQ(said([](TrainerOptions&) {}), "");
  EXPECT_THAT(said([](TrainerOptions& o) { o.schedule.peak = -1; }), HasSubstr("learning rate"));
  EXPECT_THAT(said([](TrainerOptions& o) { o.schedule.floor = 1; }), HasSubstr("learning rate"));
  EXPECT_THAT(said([](TrainerOptions& o) { o.schedule.warmup = -1; }), HasSubstr("steps"));
  EXPECT_THAT(said([](TrainerOptions& o) { o.clip = -1; }), HasSubstr("clipped"));
  EXPECT_THAT(said([](TrainerOptions& o) { o.temperature = 0; }), HasSubstr("temperature"));
}

constexpr int kSteps = 150;

// A training with a checkpoint after every step, from where the folder's newest ends.
void train_on(const std::string& file, const std::string& checkpoints) {
  const auto model = trainable(file);
  RandomDocuments source(2, 2);
  source.spoil(20);
  Trainer trainer(*model, source, some_options());
  if (const std::string newest = newest_checkpoint(checkpoints); !newest.empty()) trainer.resume(newest);
  while (trainer.step() < kSteps) {
    trainer.advance();
    trainer.save(checkpoint_path(checkpoints, trainer.step()));
    drop_old_checkpoints(checkpoints, 3, trainer.step());
  }
}

// A process that does the same; to be waited for.
pid_t start_training(const std::string& file, const std::string& checkpoints) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int status = 1;
  try {
    train_on(file, checkpoints);
    status = 0;
  } catch (...) {
  }
  ::_exit(status);
}

int64_t steps_done(const std::string& checkpoints) {
  int64_t newest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".ckpt.gguf")) newest = std::max<int64_t>(newest, std::stoll(name.substr(5)));
  }
  return newest;
}

TEST(TrainerResume, TwentyKillsLeaveNoTrace) {
  constexpr int kKills = 20;
  const TrainingFolder folder;
  const std::string file = write_tiny_llama(folder), whole = folder / "whole", killed = folder / "killed";
  std::filesystem::create_directories(whole);
  std::filesystem::create_directories(killed);
  train_on(file, whole);

  Rng rng(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
  int64_t done = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const pid_t child = start_training(file, killed);
    ASSERT_GT(child, 0);
    // Somewhere in one of the next few steps, or before the first.
    const int64_t until = done + rng.below(6);
    int status = 0;
    while (steps_done(killed) < until && ::waitpid(child, &status, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    std::this_thread::sleep_for(std::chrono::microseconds(rng.below(5000)));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, &status, 0), child) << "the training ended before it was killed";
    ASSERT_TRUE(WIFSIGNALED(status));
    done = steps_done(killed);
    ASSERT_LT(done, kSteps);
  }
  const pid_t last = start_training(file, killed);
  int status = 0;
  ASSERT_EQ(::waitpid(last, &status, 0), last);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_GT(done, 0);  // some kills came after a checkpoint
  EXPECT_TRUE(slurp(checkpoint_path(killed, kSteps)) == slurp(checkpoint_path(whole, kSteps)));
  EXPECT_EQ(read_checkpoint(checkpoint_path(killed, kSteps)).skipped, 1);
  const auto files = std::distance(std::filesystem::directory_iterator(killed), {});
  EXPECT_EQ(files, 3);  // what the killed writers left is gone
}

TEST(TrainerResume, OnAFullDiskTheCheckpointBeforeStays) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  RandomDocuments source(1, 2);
  Trainer trainer(*model, source, some_options());
  trainer.advance();
  trainer.save(checkpoint_path(folder, 1));
  const std::vector<float> saved = values_of(*model);
  trainer.advance();
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit tight{4096, limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // then write() fails, as on a full disk
  ::setrlimit(RLIMIT_FSIZE, &tight);
  ErrorKind kind = ErrorKind::kUsage;
  try {
    trainer.save(checkpoint_path(folder, 2));
  } catch (const Error& error) {
    kind = error.kind();
  }
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(kind, ErrorKind::kIo);
  EXPECT_EQ(newest_checkpoint(folder), checkpoint_path(folder, 1));
  trainer.resume(newest_checkpoint(folder));
  EXPECT_EQ(values_of(*model), saved);
}

}  // namespace
}  // namespace fieldprint
