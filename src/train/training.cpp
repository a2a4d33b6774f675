#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "fieldprint/quantize.h"
#include "fieldprint/train.h"
#include "text/load_tokenizer.h"
#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/duplicates.h"
#include "train/expert_counts.h"
#include "train/export.h"
#include "train/folder_lock.h"
#include "train/log.h"
#include "train/lora.h"
#include "train/memory.h"
#include "train/trainer.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

constexpr double kMeanShare = 0.1;  // of the newest loss in the moving average
constexpr size_t kRecent = 10;      // steps that speed is measured over

[[noreturn]] void refuse(const std::string& what, const std::string& hint = {}) {
  throw Error(ErrorKind::kUsage, what, {}, hint);
}

void check(const TrainOptions& o) {
  if (o.data.empty()) refuse("there is no data to train on");
  if (o.out.empty()) refuse("there is no folder for what is made");
  if (o.micro_tokens < 2) refuse("documents have at least 2 tokens");
  if (o.documents < 1) refuse("a step has at least one document");
  if (o.steps < 0 || (o.steps == 0 && !(o.epochs > 0))) refuse("a training has at least one step");
  if (!(o.eval_share >= 0 && o.eval_share < 1)) refuse("the share that is held out is at least 0 and below 1");
  if (!find_learn(o.learn))
    refuse(fmt::format("'{}' is nothing to learn of a teacher's rows", o.learn), "answer, trace, ids or top-k");
  if (!(o.kl_share >= 0 && o.kl_share <= 1)) refuse("the share of the divergence is between 0 and 1");
  if (o.full && !o.targets.empty()) refuse("targets are those of adapters: all weights are trained");
  if (o.merge.empty()) return;
  const auto mixes = quantize_mixes();
  std::string upper = o.merge;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (std::none_of(mixes.begin(), mixes.end(), [&](const QuantizeMix& mix) { return mix.name == upper; }))
    refuse(fmt::format("'{}' is no type of a model file", o.merge), "`fieldprint quantize --list` shows the types");
}

TrainData described(const std::string& path, const Dataset& dataset) {
  const DatasetReport& report = dataset.report;
  TrainData data;
  data.path = path;
  data.rows = report.rows;
  data.documents = static_cast<int64_t>(dataset.examples.size());
  data.tokens = report.tokens, data.learned = report.learned, data.turns = report.turns;
  data.truncated = report.truncated;
  data.thoughts_dropped = report.thoughts_dropped, data.thoughts_unopened = report.thoughts_unopened;
  data.ended_by_eos = report.ended_by_eos;
  data.teacher = report.teacher, data.foreign_prompts = report.foreign_prompts;
  data.cached = report.cached;
  for (int fault = 0; fault < kRowFaults; ++fault) {
    const FaultCount& count = report.faults[static_cast<size_t>(fault)];
    if (count.rows == 0) continue;
    const auto name = row_fault_name(static_cast<RowFault>(fault));
    data.faults.push_back({std::string(name), count.rows, count.first, count.detail});
  }
  return data;
}

void look_for_duplicates(TrainData& data, const Dataset& dataset, ThreadPool& pool) {
  const Duplicates found = find_duplicates(dataset.examples, pool, {}, dataset.lines);
  const auto line = [&](int64_t example) { return example < 0 ? 0 : dataset.lines[static_cast<size_t>(example)]; };
  data.exact = found.exact, data.near = found.near;
  data.exact_first = line(found.first_exact.first), data.exact_second = line(found.first_exact.second);
  data.near_first = line(found.first_near.first), data.near_second = line(found.first_near.second);
}

std::map<std::string, std::string> settings_of(const TrainOptions& o) {
  std::map<std::string, std::string> settings = {{"--seed", fmt::to_string(o.seed)},
                                                 {"--batch times --accumulate", fmt::to_string(o.documents)},
                                                 {"--batch-tokens", fmt::to_string(o.micro_tokens)},
                                                 {"--eval-share", fmt::to_string(o.eval_share)}};
  if (!o.full) {
    settings["--lora-rank"] = fmt::to_string(o.rank);
    settings["--lora-alpha"] = fmt::to_string(o.alpha);
  }
  if (o.learn != "answer") settings["--learn"] = o.learn;
  return settings;
}

// Throws Error kUsage for a setting that was another one when the training began. What it does not name, the trainer
// compares by what comes of it.
void require_same(const std::map<std::string, std::string>& began, const std::map<std::string, std::string>& now,
                  const std::string& path) {
  for (const auto& [name, value] : now) {
    const auto found = began.find(name);
    if (found != began.end() && found->second == value) continue;
    throw Error(ErrorKind::kUsage,
                fmt::format("the training here began with {} {}, not {}", name,
                            found == began.end() ? "of none" : found->second, value),
                path, "go on as it began, or begin anew in another folder");
  }
}

// Tokens of a micro-batch, and how many are learned.
std::pair<int64_t, int64_t> size_of(const MicroBatch& batch) {
  int64_t tokens = 0, learned = 0;
  for (const Example* document : batch) {
    tokens += static_cast<int64_t>(document->tokens.size());
    learned += static_cast<int64_t>(document->weight());
  }
  return {tokens, learned};
}

// What a checkpoint holds beside the loop's own state.
struct Standing {
  std::map<std::string, std::string> settings;  // that decide what a step is made of, by their flags
  double mean_loss = 0;
  bool has_mean = false;
  std::optional<double> before, best;
  int64_t best_step = 0;
  int worse = 0;  // looks in a row that were no better

  std::string text() const {
    nlohmann::json json = {{"settings", settings},
                           {"has_mean", has_mean},
                           {"mean_loss", mean_loss},
                           {"best_step", best_step},
                           {"worse", worse}};
    if (before && std::isfinite(*before)) json["before"] = *before;
    if (best) json["best"] = *best;
    return json.dump();
  }
  // Throws Error kBadFile, naming `path`, for what is none.
  static Standing of(const std::string& text, const std::string& path) {
    try {
      const auto json = nlohmann::json::parse(text);
      Standing s;
      json.at("settings").get_to(s.settings);
      s.has_mean = json.at("has_mean"), s.mean_loss = json.at("mean_loss");
      s.best_step = json.at("best_step"), s.worse = json.at("worse");
      if (json.contains("before")) s.before = json["before"].get<double>();
      if (json.contains("best")) s.best = json["best"].get<double>();
      return s;
    } catch (const nlohmann::json::exception&) {
      throw Error(ErrorKind::kBadFile, "the checkpoint does not say how the training stands", path);
    }
  }
};

}  // namespace

struct Training::State {
  State(std::string model_path, const TrainOptions& given);

  void read_data(ThreadPool& pool);
  void make_plan();
  Trainable& trainable();
  std::vector<std::string> write_files(const Progress& progress);
  LoraOptions lora() const {
    return {.rank = options.rank, .alpha = options.alpha, .targets = options.targets, .seed = options.seed};
  }
  std::string fingerprint() const;
  std::string best_path() const { return checkpoints + "/best.ckpt.gguf"; }
  std::vector<MicroBatch> held_batches() const;

  std::string model_path;
  TrainOptions options;
  std::string checkpoints;
  std::shared_ptr<const GgufFile> file;
  Hyperparameters hp;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;
  Dataset train, held;
  std::optional<LoraAdapter> adapter;
  std::optional<DatasetBatches> batches;
  TrainPlan plan;
  std::optional<Trainable> model;
};

Training::State::State(std::string model_file, const TrainOptions& given)
    : model_path(std::move(model_file)), options(given), checkpoints(given.out + "/checkpoints") {
  check(options);
  decay_of(options.schedule);
  file = GgufFile::open(model_path);
  hp = read_hyperparameters(*file);
  tokenizer = load_tokenizer(*file);
  const std::string source = options.template_source.empty() ? std::string(file->string("tokenizer.chat_template", ""))
                                                             : options.template_source;
  if (!source.empty()) chat_template = std::make_unique<ChatTemplate>(source);
  if (!options.full) plan.trained = lora_values(*file, lora());
  ThreadPool pool(options.threads > 0 ? options.threads : hardware_threads());
  read_data(pool);
  make_plan();
}

void Training::State::read_data(ThreadPool& pool) {
  const DatasetOptions reading{.max_tokens = std::min(options.micro_tokens, int64_t{hp.context} + 1),
                               .raw = options.raw,
                               .specials = options.specials,
                               .strict = options.strict,
                               .learn = *find_learn(options.learn),
                               .cache = options.out + "/cache"};
  const auto read = [&](const std::string& path) {
    return read_dataset(path, *file, *tokenizer, chat_template.get(), reading, pool);
  };
  train = read(options.data);
  plan.train = described(options.data, train);
  if (options.learn != "answer" && plan.train.teacher == 0) {
    throw Error(ErrorKind::kUsage,
                fmt::format("there is no row of a teacher's, of which '{}' is learned", options.learn), options.data,
                "`fieldprint distil run` makes such rows; of others --learn says nothing");
  }
  look_for_duplicates(plan.train, train, pool);
  if (!options.eval_data.empty()) {
    held = read(options.eval_data);
    plan.eval = described(options.eval_data, held);
    look_for_duplicates(*plan.eval, held, pool);
  } else if (options.eval_share > 0) {
    held = split_off(train, options.eval_share, options.seed);
    if (train.examples.empty()) std::swap(train, held);  // a row or two: all are learned from
  }
  if (!held.examples.empty()) {
    const Duplicates both = find_duplicates(held.examples, pool, train.examples);
    plan.eval_in_train = both.exact + both.near;
  }
}

std::string Training::State::fingerprint() const {
  return fmt::format(
      "{}, held out {}, {}", dataset_fingerprint(train), dataset_fingerprint(held),
      options.full ? "all weights" : fmt::format("adapters of scale {} / {}", options.alpha, options.rank));
}

std::vector<MicroBatch> Training::State::held_batches() const {
  std::vector<const Example*> documents;
  for (const Example& example : held.examples) documents.push_back(&example);
  return pack(documents, options.micro_tokens);
}

void Training::State::make_plan() {
  batches.emplace(
      train.examples, fingerprint(),
      BatchOptions{.documents = options.documents, .max_tokens = options.micro_tokens, .seed = options.seed});
  plan.held_out = static_cast<int64_t>(held.examples.size());
  plan.steps_per_epoch = batches->steps_per_epoch();
  const auto of_epochs = static_cast<int64_t>(std::llround(options.epochs * static_cast<double>(plan.steps_per_epoch)));
  plan.steps = options.steps > 0 ? options.steps : std::max(int64_t{1}, of_epochs);
  plan.warmup = options.warmup >= 0 ? options.warmup : plan.steps / 20;
  if (plan.warmup > plan.steps) refuse("the warm-up is longer than the training");
  plan.eval_every = options.eval_every > 0 ? options.eval_every : (plan.steps + 9) / 10;
  plan.save_every = options.save_every > 0 ? options.save_every : plan.eval_every;
  plan.learning_rate = options.learning_rate > 0 ? options.learning_rate : options.full ? 2e-5 : 2e-4;
  int64_t all = 0;
  for (const GgufTensor& tensor : file->tensors()) all += static_cast<int64_t>(tensor.elements());
  if (options.full) plan.trained = all;
  plan.trained_share = static_cast<double>(plan.trained) / static_cast<double>(std::max(int64_t{1}, all));

  int64_t tokens = 0, learned = 0, most = 1, passed = 0;
  const int64_t looked_at = std::min(plan.steps, int64_t{4096});
  for (int64_t step = 1; step <= looked_at; ++step) {
    const auto micro = batches->batch(step);
    most = std::max(most, static_cast<int64_t>(micro.size()));
    for (const MicroBatch& batch : micro) {
      const auto [these, count] = size_of(batch);
      tokens = std::max(tokens, these), learned = std::max(learned, count);
      passed += these;
    }
  }
  plan.passed =
      std::llround(static_cast<double>(passed) / static_cast<double>(looked_at) * static_cast<double>(plan.steps));
  int64_t eval_tokens = 0, eval_learned = 0;
  for (const MicroBatch& batch : held_batches()) {
    const auto [these, count] = size_of(batch);
    eval_tokens = std::max(eval_tokens, these), eval_learned = std::max(eval_learned, count);
  }
  plan.memory = memory_of(hp, {.file_bytes = file->size(),
                               .trained = plan.trained,
                               .moments = options.optimizer == "adamw" ? 2 : 0,
                               .micro_batches = most,
                               .tokens = tokens,
                               .learned = learned,
                               .eval_tokens = eval_tokens,
                               .eval_learned = eval_learned});
  for (const Dataset* data : {&train, &held}) {
    for (const Example& example : data->examples)
      plan.memory.data += sizeof(float) * (2 * example.top_ids.size() + example.top_tail.size());
  }
  plan.memory.available = available_memory();
}

Trainable& Training::State::trainable() {
  if (model) return *model;
#ifdef __GLIBC__
  // Activations are of another size with each micro-batch. Left to itself, malloc would keep them in its heap, which
  // falls to pieces: half as much memory again.
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
  require_memory(plan.memory, options, model_path);
  TrainableOptions wanted{.threads = options.threads, .isa = options.isa};
  if (!options.full) {
    adapter.emplace(*file, lora());
    wanted.additions.assign(adapter->additions().begin(), adapter->additions().end());
    wanted.adapters.assign(adapter->parameters().begin(), adapter->parameters().end());
  } else {
    wanted.trained = [](const std::string&) { return true; };
  }
  if (hp.experts > 0) wanted.balance = options.expert_balance >= 0 ? options.expert_balance : options.full ? 0.01 : 0;
  return model.emplace(file, wanted);
}

std::vector<std::string> Training::State::write_files(const Progress& progress) {
  const std::string& out = options.out;
  if (!adapter) {
    write_trained_model(out + "/model.gguf", file, model->tensors(), options.merge, progress);
    return {out + "/model.gguf"};
  }
  std::vector<std::string> files = {out + "/adapter.gguf"};
  write_gguf_adapter(files[0], *file, adapter->additions());
  try {
    write_peft_adapter(out, *file, adapter->additions());
    files.push_back(out + "/adapter_model.safetensors");
    files.push_back(out + "/adapter_config.json");
  } catch (const Error& error) {  // what has no module of its own on Hugging Face is in the GGUF file alone
    if (error.kind() != ErrorKind::kUnsupported) throw;
  }
  if (!options.merge.empty()) {
    const std::string merged = out + "/model.gguf";
    QuantizeOptions merging;
    merging.mix = options.merge;
    merging.adapters = {{.path = files[0]}};
    merging.threads = options.threads;
    quantize(model_path, merged, merging, progress);
    files.push_back(merged);
  }
  return files;
}

Training::Training(const std::string& model, const TrainOptions& options) {
  const std::string written = options.out + "/model.gguf";
  std::error_code error;
  if (fs::equivalent(model, written, error)) {
    throw Error(ErrorKind::kUsage, "is the model itself, and would be replaced", written, "--out names another folder");
  }
  state_ = std::make_unique<State>(model, options);
}
Training::~Training() = default;

const TrainPlan& Training::plan() const { return state_->plan; }

std::vector<TrainRow> Training::rows(int count) const {
  std::vector<TrainRow> rows;
  const Dataset& data = state_->train;
  for (size_t i = 0; i < data.examples.size() && i < static_cast<size_t>(count); ++i) {
    const Example& example = data.examples[i];
    TrainRow& row = rows.emplace_back();
    row.line = data.lines[i];
    row.tokens = static_cast<int64_t>(example.tokens.size());
    for (size_t begin = 0, end = 0; begin < example.tokens.size(); begin = end) {
      const bool learned = example.weights[begin] > 0;
      while (end < example.tokens.size() && (example.weights[end] > 0) == learned) ++end;
      if (learned) row.learned += static_cast<int64_t>(end - begin);
      row.pieces.push_back({state_->tokenizer->decode(std::span(example.tokens).subspan(begin, end - begin)), learned});
    }
  }
  return rows;
}

double Training::measure() {
  Trainable& model = state_->trainable();
  const auto micro = state_->batches->batch(1);
  model.loss(micro[0], true);  // weights are read from the disk, memory is taken
  const auto start = std::chrono::steady_clock::now();
  const StepLoss loss = model.loss(micro[0], true);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return seconds / static_cast<double>(std::max(int64_t{1}, loss.passed)) * static_cast<double>(state_->plan.passed);
}

TrainResult Training::run(const std::function<bool(const TrainPoint&)>& each, const Progress& progress) {
  State& s = *state_;
  const TrainOptions& options = s.options;
  make_folder(s.checkpoints);
  const std::string newest = newest_checkpoint(s.checkpoints);
  if (!newest.empty() && !options.resume) {
    throw Error(ErrorKind::kUsage, "there is a training here already", options.out,
                "--resume goes on with it; another --out begins anew");
  }
  const FolderLock lock(s.checkpoints);
  Trainable& model = s.trainable();
  Trainer trainer(model, *s.batches,
                  {.optimizer = {.name = options.optimizer, .weight_decay = static_cast<float>(options.weight_decay)},
                   .schedule = {.peak = s.plan.learning_rate,
                                .warmup = s.plan.warmup,
                                .steps = s.plan.steps,
                                .decay = decay_of(options.schedule)},
                   .clip = options.clip,
                   .teacher_share = options.kl_share,
                   .seed = options.seed});
  Standing standing;
  standing.settings = settings_of(options);
  if (!newest.empty()) {
    require_same(Standing::of(read_checkpoint(newest).extra, newest).settings, standing.settings, newest);
    standing = Standing::of(trainer.resume(newest), newest);
    if (trainer.step() > s.plan.steps) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("the checkpoint is of step {} of a training of {}", trainer.step(), s.plan.steps),
                  newest);
    }
  }
  TrainLog log(options.out, trainer.step());
  const std::vector<MicroBatch> held = s.held_batches();
  if (!held.empty() && trainer.step() == 0) standing.before = trainer.evaluate(held).loss;

  TrainResult result;
  result.checkpoint = newest;
  const auto save = [&] {
    result.checkpoint = checkpoint_path(s.checkpoints, trainer.step());
    trainer.save(result.checkpoint, standing.text());
    drop_old_checkpoints(s.checkpoints, options.keep, trainer.step());
  };
  const auto ends = [&] { return options.patience > 0 && standing.worse >= options.patience; };
  ExpertCounts experts;
  std::deque<std::pair<int64_t, double>> recent;  // tokens, seconds
  bool go_on = true;
  while (go_on && trainer.step() < s.plan.steps && !ends()) {
    if (s.hp.experts > 0) model.observe(&experts);
    const StepReport report = trainer.advance();
    model.observe(nullptr);
    TrainPoint point;
    point.step = report.step, point.loss = report.loss, point.accuracy = report.accuracy;
    point.learning_rate = report.learning_rate, point.norm = report.norm;
    point.tokens = report.passed, point.learned = static_cast<int64_t>(report.weight);
    point.seconds = report.seconds, point.skipped = report.skipped;
    if (!report.skipped) {
      const double share = std::max(kMeanShare, 1.0 / static_cast<double>(report.step));  // at first the plain mean
      standing.mean_loss =
          standing.has_mean ? standing.mean_loss + share * (report.loss - standing.mean_loss) : report.loss;
      standing.has_mean = true;
    }
    point.mean_loss = standing.mean_loss;
    recent.emplace_back(report.passed, report.seconds);
    if (recent.size() > kRecent) recent.pop_front();
    int64_t tokens = 0;
    double seconds = 0;
    for (const auto& [count, time] : recent) tokens += count, seconds += time;
    point.tokens_per_second = seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
    point.seconds_left = seconds / static_cast<double>(recent.size()) * static_cast<double>(s.plan.steps - report.step);
    result.seconds += report.seconds;
    const bool last = report.step == s.plan.steps;
    if (!held.empty() && (report.step % s.plan.eval_every == 0 || last)) {
      const EvalReport eval = trainer.evaluate(held);
      point.eval_loss = eval.loss, point.eval_accuracy = eval.accuracy;
      point.best = std::isfinite(eval.loss) && (!standing.best || eval.loss < *standing.best);
      if (point.best) {
        standing.best = eval.loss, standing.best_step = report.step, standing.worse = 0;
        trainer.save(s.best_path(), standing.text());
      } else {
        ++standing.worse;
      }
    }
    point.saved = last || report.step % s.plan.save_every == 0 || ends();
    if (point.saved) save();
    if (s.hp.experts > 0 && (point.saved || point.eval_loss)) point.experts = experts.take();
    if (!point.experts.empty()) {
      result.idle_experts.clear();
      for (const auto& shares : point.experts)
        result.idle_experts.push_back(static_cast<int>(std::count(shares.begin(), shares.end(), 0.0f)));
    }
    log.add(point);
    if (point.saved || point.eval_loss) log.draw();
    go_on = each(point);
    if (!go_on && !point.saved) save();
  }
  result.step = trainer.step(), result.skipped = trainer.skipped();
  result.eval_before = standing.before, result.eval_best = standing.best;
  result.best_step = standing.best ? standing.best_step : trainer.step();
  const bool done = trainer.step() >= s.plan.steps;
  result.end = done ? TrainEnd::kDone : ends() ? TrainEnd::kPatience : TrainEnd::kStopped;
  log.draw();
  if (result.end == TrainEnd::kStopped) return result;
  if (!held.empty() && !standing.best) {
    throw Error(ErrorKind::kBadInput, "the held-out loss was never a finite number: there is nothing worth writing",
                options.out, "a lower --lr, or a lower --clip");
  }
  if (result.best_step != trainer.step()) trainer.resume(s.best_path());
  result.files = s.write_files(progress);
  return result;
}

}  // namespace fieldprint
