#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

#include "fieldprint/error.h"
#include "train/checkpoint.h"

namespace fieldprint {
namespace {

constexpr int64_t kPiece = 16384;  // elements that a thread looks at once

// Of the squares, in float64: 16 sums in each piece (element i goes to sum i mod 16), piece after piece.
double norm_of(std::span<const float> x, ThreadPool& pool) {
  const auto count = static_cast<int64_t>(x.size());
  std::vector<double> sums(static_cast<size_t>((count + kPiece - 1) / kPiece));
  pool.run(static_cast<int64_t>(sums.size()), [&](int64_t piece, int) {
    std::array<double, 16> partial{};
    const float* at = x.data() + piece * kPiece;
    const int64_t n = std::min(kPiece, count - piece * kPiece);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
      for (int64_t j = 0; j < 16; ++j) {
        const auto value = static_cast<double>(at[i + j]);
        partial[static_cast<size_t>(j)] += value * value;
      }
    }
    for (int64_t j = 0; i + j < n; ++j) {
      const auto value = static_cast<double>(at[i + j]);
      partial[static_cast<size_t>(j)] += value * value;
    }
    double sum = 0;
    for (const double part : partial) sum += part;
    sums[static_cast<size_t>(piece)] = sum;
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return std::sqrt(sum);
}

void scale(std::span<float> x, float factor, ThreadPool& pool) {
  const auto count = static_cast<int64_t>(x.size());
  pool.run((count + kPiece - 1) / kPiece, [&](int64_t piece, int) {
    for (int64_t i = piece * kPiece, end = std::min(count, i + kPiece); i < end; ++i)
      x[static_cast<size_t>(i)] *= factor;
  });
}

std::string_view name_of(Decay decay) {
  switch (decay) {
    case Decay::kConstant:
      return "constant";
    case Decay::kLinear:
      return "linear";
    case Decay::kCosine:
      return "cosine";
  }
  return "";
}

// What of the options is part of a training's bits, as text that says so to a reader.
std::string text_of(const TrainerOptions& options) {
  const OptimizerOptions& o = options.optimizer;
  const Schedule& s = options.schedule;
  const std::string moments = o.name == "sgd" ? fmt::format("momentum {}", o.momentum)
                                              : fmt::format("betas {} {} eps {}", o.beta1, o.beta2, o.eps);
  const std::string share =
      options.teacher_share == 1 ? "" : fmt::format(", teacher's share {}", options.teacher_share);
  return fmt::format(
      "{} {} weight decay {}, learning rate {} {} to {}, warm-up {} of {} steps, clip {}, temperature {}{}", o.name,
      moments, o.weight_decay, name_of(s.decay), s.peak, s.floor, s.warmup, s.steps, options.clip, options.temperature,
      share);
}

// The optimiser's, as tensors.
std::string moment_name(const std::string& moment) { return "moment." + moment; }

void check(bool right, std::string_view what) {
  if (!right) throw Error(ErrorKind::kUsage, fmt::format("training: {}", what));
}

void require_same(const std::string& path, std::string_view what, std::string_view there, std::string_view here) {
  if (there == here) return;
  throw Error(ErrorKind::kUsage, fmt::format("the checkpoint is of {}: {}, not {}", what, there, here), path,
              "go on as it began, or begin anew in another folder");
}

}  // namespace

Trainer::Trainer(Trainable& model, BatchSource& source, const TrainerOptions& options)
    : model_(model),
      source_(source),
      options_(options),
      optimizer_(make_optimizer(options.optimizer, model.parameters())),
      sum_(static_cast<int64_t>(model.gradients().size())) {
  const Schedule& schedule = options_.schedule;
  check(schedule.peak >= 0 && std::isfinite(schedule.peak), "the learning rate is at least 0");
  check(schedule.floor >= 0 && schedule.floor <= schedule.peak, "the learning rate ends between 0 and its peak");
  check(schedule.warmup >= 0 && schedule.steps >= 0, "steps are at least 0");
  check(options_.clip >= 0, "what gradients are clipped to is at least 0");
  check(options_.temperature > 0 && std::isfinite(options_.temperature), "the temperature is above 0");
  check(options_.teacher_share >= 0 && options_.teacher_share <= 1, "the teacher's share is between 0 and 1");
}

Trainer::~Trainer() = default;

StepReport Trainer::advance() {
  const auto start = std::chrono::steady_clock::now();
  StepReport report;
  report.step = step_ + 1;
  report.learning_rate = learning_rate(options_.schedule, report.step);
  const std::vector<MicroBatch> batches = source_.batch(report.step);
  for (const MicroBatch& batch : batches) {
    for (const Example* document : batch) report.weight += document->weight();
  }
  int64_t count = 0, right = 0;
  ThreadPool& pool = model_.pool();
  const std::span<float> gradients = model_.gradients();
  if (report.weight > 0) {
    for (const MicroBatch& batch : batches) {
      const StepLoss loss = model_.loss(batch, true, 1 / report.weight, options_.temperature, options_.teacher_share);
      report.loss += loss.sum;
      report.passed += loss.passed;
      count += static_cast<int64_t>(loss.right.size());
      right += std::count(loss.right.begin(), loss.right.end(), true);
      if (batches.size() > 1) sum_.add(gradients, pool);
    }
    if (batches.size() > 1) sum_.finish(gradients, pool);
    report.norm = norm_of(gradients, pool);
  }
  report.loss /= report.weight;
  report.accuracy = static_cast<double>(right) / static_cast<double>(count);
  report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.norm);
  if (!report.skipped) {
    if (options_.clip > 0 && report.norm > options_.clip)
      scale(gradients, static_cast<float>(options_.clip / report.norm), pool);
    optimizer_->step(model_.parameters(), gradients, report.step - skipped_, report.learning_rate, pool);
  }
  ++step_;
  if (report.skipped) ++skipped_;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

EvalReport Trainer::evaluate(std::span<const MicroBatch> batches) {
  EvalReport report;
  int64_t count = 0, right = 0;
  for (const MicroBatch& batch : batches) {
    const StepLoss loss = model_.loss(batch, false, 1, options_.temperature, options_.teacher_share);
    report.loss += loss.sum;
    report.weight += loss.weight;
    count += static_cast<int64_t>(loss.right.size());
    right += std::count(loss.right.begin(), loss.right.end(), true);
  }
  report.loss /= report.weight;
  report.accuracy = static_cast<double>(right) / static_cast<double>(count);
  return report;
}

void Trainer::save(const std::string& path, const std::string& extra) const {
  Checkpoint checkpoint{.step = step_,
                        .skipped = skipped_,
                        .seed = options_.seed,
                        .model = model_.file().fingerprint(),
                        .data = source_.fingerprint(),
                        .options = text_of(options_),
                        .extra = extra,
                        .tensors = {}};
  for (const Parameter& parameter : model_.parameters()) {
    checkpoint.tensors.emplace_back(parameter.name, std::span(parameter.values, static_cast<size_t>(parameter.count)));
  }
  for (const auto& [name, values] : optimizer_->moments()) checkpoint.tensors.emplace_back(moment_name(name), values);
  write_checkpoint(path, checkpoint);
}

std::string Trainer::resume(const std::string& path) {
  const Checkpoint checkpoint = read_checkpoint(path);
  require_same(path, "another model", checkpoint.model, model_.file().fingerprint());
  require_same(path, "other data", checkpoint.data, source_.fingerprint());
  require_same(path, "other options", checkpoint.options, text_of(options_));
  require_same(path, "another seed", fmt::to_string(checkpoint.seed), fmt::to_string(options_.seed));

  std::vector<std::pair<std::string, std::span<float>>> ours;
  for (const Parameter& parameter : model_.parameters())
    ours.emplace_back(parameter.name, std::span(parameter.values, static_cast<size_t>(parameter.count)));
  for (const auto& [name, values] : optimizer_->moments()) ours.emplace_back(moment_name(name), values);
  const bool same =
      std::equal(ours.begin(), ours.end(), checkpoint.tensors.begin(), checkpoint.tensors.end(),
                 [](const auto& a, const auto& b) { return a.first == b.first && a.second.size() == b.second.size(); });
  if (!same) {
    throw Error(ErrorKind::kUsage, "the checkpoint is of a training of other tensors", path,
                "go on as it began, or begin anew in another folder");
  }
  for (size_t i = 0; i < ours.size(); ++i) {
    const std::span<const float> from = checkpoint.tensors[i].second;
    std::copy(from.begin(), from.end(), ours[i].second.begin());
  }
  step_ = checkpoint.step;
  skipped_ = checkpoint.skipped;
  return checkpoint.extra;
}

}  // namespace fieldprint
