// One run of the lab: its model, its sequences, and the loop of src/train.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "fieldprint/error.h"
#include "fieldprint/lab.h"
#include "lab/held_out.h"
#include "lab/model.h"
#include "lab/spread.h"
#include "lab/tasks.h"
#include "text/load_tokenizer.h"
#include "train/trainer.h"

namespace fieldprint {
namespace {

constexpr uint64_t kHeldOutSeed = 0x68656c64206f7574u;

std::string text_of(const std::string& path) {
  if (path.empty()) throw Error(ErrorKind::kUsage, "the task text takes a file", {}, "--text FILE");
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Adjacent seeds and steps have nothing in common.
Rng rng_of(uint64_t seed, uint64_t step) { return Rng(Rng(seed).next() ^ step * 0x9e3779b97f4a7c15u); }

std::vector<MicroBatch> cut(const std::vector<Example>& examples, int length) {
  const auto most = static_cast<size_t>(std::max(1, kMicroBatchTokens / length));
  std::vector<MicroBatch> batches;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (i % most == 0) batches.emplace_back();
    batches.back().push_back(&examples[i]);
  }
  return batches;
}

class TaskSource final : public BatchSource {
 public:
  TaskSource(const Task& task, const LabSettings& settings) : task_(task), settings_(settings) {}

  std::vector<MicroBatch> batch(int64_t step) override {
    Rng random = rng_of(settings_.seed, static_cast<uint64_t>(step));
    examples_.clear();
    for (int i = 0; i < settings_.batch; ++i)
      examples_.push_back(training_example(task_.draw(random, TaskPart::kTraining)));
    return cut(examples_, settings_.length);
  }
  std::string fingerprint() const override {
    return fmt::format("lab {} {} {} {} {}", settings_.task, settings_.length, task_.vocabulary(), settings_.batch,
                       settings_.text);
  }

 private:
  const Task& task_;
  const LabSettings& settings_;
  std::vector<Example> examples_;
};

void check(const LabSettings& s) {
  const auto need = [](bool fine, const char* what) {
    if (!fine) throw Error(ErrorKind::kUsage, what);
  };
  need(s.steps > 0 && s.batch > 0, "steps and batch should be 1 or more");
  need(s.every > 0 && s.held_out > 0, "there should be held-out sequences, looked at every 1 or more steps");
  need(s.learning_rate > 0, "the learning rate should be above 0");
  need(s.length >= 2 && s.length <= (1 << 20), "the length should be 2 to 1048576");
}

std::string hash_of(const Trainable& model) {
  Sha256 hash;
  for (const Parameter& one : model.parameters())
    hash.update(std::as_bytes(std::span(one.values, static_cast<size_t>(one.count))));
  return hash.hex();
}

}  // namespace

std::span<const LabName> lab_tasks() {
  static const auto names = [] {
    std::vector<LabName> all;
    for (const TaskRow& row : task_rows()) all.push_back({row.name, row.about});
    all.push_back({kTextTask, "the bytes of a file, or its tokens"});
    return all;
  }();
  return names;
}

std::unique_ptr<Task> lab_task(const LabSettings& settings) {
  if (settings.task != kTextTask) return make_task(settings.task, settings.length, settings.vocabulary);
  const std::string text = text_of(settings.text);
  if (settings.tokenizer.empty()) {
    std::vector<TokenId> bytes;
    bytes.reserve(text.size());
    for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
    return make_text_task(std::move(bytes), settings.length, kByteTokens);
  }
  const auto tokenizer = load_tokenizer(settings.tokenizer);
  return make_text_task(tokenizer->encode(text, {.add_special = false, .parse_special = false}), settings.length,
                        tokenizer->size());
}

std::string content_of(const LabSettings& settings) {
  if (settings.task != kTextTask) return {};
  Sha256 hash;
  const std::string text = text_of(settings.text);
  hash.update(std::as_bytes(std::span(text)));
  if (!settings.tokenizer.empty()) {
    const std::string fingerprint = GgufFile::open(settings.tokenizer)->fingerprint();
    hash.update(std::as_bytes(std::span(fingerprint)));
  }
  return hash.hex();
}

std::vector<TaskSequence> held_out_sequences(const Task& task, const LabSettings& settings) {
  Rng random(kHeldOutSeed);
  std::vector<TaskSequence> sequences;
  for (int i = 0; i < settings.held_out; ++i) sequences.push_back(task.draw(random, TaskPart::kHeldOut));
  return sequences;
}

LabRun run_lab(const LabSettings& settings, const LabOptions& options, const Progress& progress) {
  check(settings);
  const std::unique_ptr<Task> task = lab_task(settings);
  const std::vector<std::byte> bytes = new_lab_model(settings, task->vocabulary());
  Trainable model(
      GgufFile::parse(bytes, "the lab's model"),
      {.threads = options.threads, .isa = options.isa, .trained = trained_in_lab, .additions = {}, .adapters = {}});
  TaskSource source(*task, settings);
  TrainerOptions training;
  training.schedule.peak = static_cast<double>(settings.learning_rate);
  training.schedule.steps = settings.steps;
  training.seed = settings.seed;
  Trainer trainer(model, source, training);

  std::vector<Example> held_out;
  for (TaskSequence& sequence : held_out_sequences(*task, settings))
    held_out.push_back(held_out_example(std::move(sequence)));
  const std::vector<MicroBatch> looked_at = cut(held_out, settings.length);

  LabRun run;
  run.settings = settings;
  run.settings.content = content_of(settings);
  for (const Parameter& one : model.parameters()) run.parameters += one.count;
  run.threads = model.pool().threads();
  const auto step_tokens = static_cast<uint64_t>(settings.batch) * static_cast<uint64_t>(settings.length);
  const std::string what = fmt::format("{}, seed {}", settings.kind, settings.seed);
  std::vector<double> times;
  const int tail = std::max(1, settings.steps / 10);
  for (int step = 1; step <= settings.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    const StepReport report = trainer.advance();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    run.seconds += times.back();
    LabPoint point{.step = step, .loss = report.loss, .norm = report.norm};
    if (step % settings.every == 0 || step == settings.steps) {
      const EvalReport seen = trainer.evaluate(looked_at);
      run.loss = point.held_out_loss = seen.loss;
      run.accuracy = point.accuracy = seen.accuracy;
      if (run.steps_to_threshold < 0 && seen.accuracy > kLabThreshold) run.steps_to_threshold = step;
    }
    if (step > settings.steps - tail) run.train_loss += report.loss / tail;
    run.points.push_back(point);
    if (progress && !progress(what, static_cast<uint64_t>(step) * step_tokens,
                              static_cast<uint64_t>(settings.steps) * step_tokens)) {
      throw Error(ErrorKind::kLimit, fmt::format("stopped after {} of {} steps", step, settings.steps));
    }
  }
  run.step_seconds = spread_of(std::move(times)).median;
  run.tokens_per_second = static_cast<double>(step_tokens) / run.step_seconds;
  run.skipped = trainer.skipped();
  run.weights_hash = hash_of(model);
  run.isa = options.isa;
  if (!options.save.empty()) save_lab_model(model, options.save);
  return run;
}

}  // namespace fieldprint
