#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_map>

#include "base/sha256.h"
#include "engine/likelihood.h"
#include "engine/loaded_model.h"
#include "fieldprint/error.h"
#include "fieldprint/importance.h"
#include "fieldprint/observe.h"
#include "fieldprint/perplexity.h"
#include "make/importance_sums.h"
#include "ops/executors.h"
#include "ops/observer.h"

namespace fieldprint {
namespace {

// Sums one chunk in double, rows in the order of their tokens; threads own columns.
class Collector final : public OpsObserver {
 public:
  explicit Collector(const LoadedModel& model) : model_(model) {}

  void inputs(const Weight& weight, std::span<const float> x) override {
    const auto columns = static_cast<size_t>(weight.cols);
    const size_t rows = x.size() / columns;
    Entry& entry = entries_[weight.name];
    if (entry.columns == 0) {
      const GgufTensor& tensor = model_.file().tensor(weight.name);
      const size_t experts = tensor.shape[2] * tensor.shape[3];
      entry.columns = columns;
      entry.sums.resize(experts * columns);
      entry.rows.resize(experts);
    }
    const auto expert = static_cast<size_t>(weight.part);
    entry.rows[expert] += rows;
    double* sums = entry.sums.data() + expert * columns;
    constexpr size_t kPiece = 128;
    model_.pool().run(static_cast<int64_t>((columns + kPiece - 1) / kPiece), [&](int64_t piece, int) {
      const size_t begin = static_cast<size_t>(piece) * kPiece, end = std::min(begin + kPiece, columns);
      for (size_t row = 0; row < rows; ++row) {
        const float* values = x.data() + row * columns;
        for (size_t i = begin; i < end; ++i) sums[i] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      }
    });
  }

  // Moves the chunk's sums into `total`.
  void flush(double weight, ImportanceSums& total) {
    for (auto& [name, entry] : entries_) {
      ImportanceSums::Tensor& sums = total.tensors[std::string(name)];
      if (sums.counts.empty()) {
        sums.columns = entry.columns;
        sums.sums.resize(entry.sums.size());
        sums.counts.resize(entry.rows.size());
      }
      // Rounded here, chunk by chunk, so that what a file keeps is all there is to keep.
      for (size_t i = 0; i < entry.sums.size(); ++i) {
        sums.sums[i] = static_cast<float>(static_cast<double>(sums.sums[i]) + weight * entry.sums[i]);
        if (std::isfinite(sums.sums[i])) continue;
        throw Error(ErrorKind::kBadInput, fmt::format("an input of {} is not finite", name), model_.info().path,
                    "the weights are damaged, or their type is too small for the model");
      }
      for (size_t i = 0; i < entry.rows.size(); ++i) {
        sums.counts[i] =
            static_cast<float>(static_cast<double>(sums.counts[i]) + weight * static_cast<double>(entry.rows[i]));
      }
      std::fill(entry.sums.begin(), entry.sums.end(), 0.0);
      std::fill(entry.rows.begin(), entry.rows.end(), uint64_t{0});
    }
  }

 private:
  struct Entry {
    size_t columns = 0;
    std::vector<double> sums;    // [experts, columns]
    std::vector<uint64_t> rows;  // [experts]
  };
  const LoadedModel& model_;
  std::unordered_map<std::string_view, Entry> entries_;
};

struct Chunk {
  std::vector<TokenId> ids;
  double weight;
};

std::vector<Chunk> cut(const Tokenizer& tokenizer, const ImportanceOptions& options) {
  std::vector<Chunk> chunks;
  const auto context = static_cast<size_t>(options.context);
  for (const ImportanceText& text : options.texts) {
    std::vector<TokenId> ids = tokenizer.encode(text.text, {.add_special = true, .parse_special = false});
    if (!ids.empty() && ids.back() == tokenizer.eos() && tokenizer.eos() != kNoToken) ids.pop_back();
    if (ids.empty()) throw Error(ErrorKind::kBadInput, "the text is empty", text.name);
    int count = 0;
    for (size_t i = 0; i < ids.size() && (options.chunks == 0 || count < options.chunks); i += context, ++count) {
      const size_t end = std::min(i + context, ids.size());
      Chunk& chunk = chunks.emplace_back(
          Chunk{{ids.begin() + static_cast<ptrdiff_t>(i), ids.begin() + static_cast<ptrdiff_t>(end)}, text.weight});
      if (tokenizer.adds_bos()) chunk.ids[0] = tokenizer.bos();
    }
  }
  return chunks;
}

// Runs chunks through the model under the eyes of a collector.
class Runner {
 public:
  Runner(const LoadedModel& model, const SessionOptions& options)
      : model_(model),
        step_(static_cast<size_t>(model.prefill_chunk(options.chunk))),
        collector_(model),
        executor_(make_executor(options.executor, {.kernels = model.kernels(),
                                                   .pool = model.pool(),
                                                   .layers = model.architecture().hyperparameters().kv,
                                                   .page_size = options.page_size,
                                                   .kv_type = options.kv_type})) {
    executor_->observe(&collector_);
  }

  // Every row goes all the way to the logits: else the last layers would be measured on few.
  void run(const Chunk& chunk, int context, ImportanceSums& total) {
    const std::lock_guard lock(model_.step_mutex());
    const auto vocabulary = static_cast<size_t>(model_.info().vocabulary);
    const size_t step = std::clamp<size_t>(kMaxLogits / vocabulary, 1, step_);
    const auto first_scored = static_cast<size_t>(context / 2);
    const bool whole = chunk.ids.size() == static_cast<size_t>(context);
    const auto sequence = executor_->new_sequence();
    Ops ops(*executor_);
    for (size_t i = 0; i < chunk.ids.size(); i += step) {
      const auto part = std::span(chunk.ids).subspan(i, std::min(step, chunk.ids.size() - i));
      const StepSequence of_step{sequence.get(), static_cast<int>(i), part, LogitRows::kAll, false};
      executor_->begin({&of_step, 1});
      const auto logits = executor_->finish(model_.architecture().forward(ops));
      for (size_t t = i; whole && t < i + part.size(); ++t) {
        if (t < first_scored || t + 1 >= chunk.ids.size()) continue;
        nll_ += negative_log_likelihood(logits.subspan((t - i) * vocabulary, vocabulary), chunk.ids[t + 1]);
        ++scored_;
      }
    }
    collector_.flush(chunk.weight, total);
  }

  double perplexity() const { return scored_ == 0 ? 0.0 : std::exp(nll_ / static_cast<double>(scored_)); }

 private:
  static constexpr size_t kMaxLogits = 16 << 20;
  const LoadedModel& model_;
  const size_t step_;  // tokens at a time
  Collector collector_;
  std::unique_ptr<Executor> executor_;
  double nll_ = 0;
  int64_t scored_ = 0;
};

// All that the result depends on, as a hash.
std::string job_of(const LoadedModel* model, const ImportanceOptions& options) {
  std::string job =
      fmt::format("{} {} {} {}\n", options.context, options.chunks, options.session.executor, options.session.kv_type);
  if (model != nullptr) job += model->fingerprint() + "\n";
  for (const ImportanceText& text : options.texts) {
    job += fmt::format("text {} {} {}\n", text.weight, sha256_hex(std::as_bytes(std::span(text.text))), text.name);
  }
  for (const auto& [path, weight] : options.files) {
    ImportanceSums file = ImportanceSums::read(path);
    Sha256 hash;
    for (const auto& [name, tensor] : file.tensors) {
      hash.update(std::as_bytes(std::span(name)));
      hash.update(std::as_bytes(std::span(tensor.sums)));
      hash.update(std::as_bytes(std::span(tensor.counts)));
    }
    job += fmt::format("file {} {}\n", weight, hash.hex());
  }
  return sha256_hex(std::as_bytes(std::span(job)));
}

// The state in which the job `id` was left at `path`; false where there is none.
bool find_left(const std::string& path, const std::string& id, ImportanceSums* found) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  try {
    *found = ImportanceSums::read(path);
  } catch (const Error&) {
    return false;
  }
  return found->job == id;
}

void check(const Model* model, const ImportanceOptions& options) {
  const auto refuse = [](const std::string& what, const char* where) { throw Error(ErrorKind::kUsage, what, where); };
  if (options.texts.empty() && options.files.empty()) refuse("nothing to measure or to add", "");
  if (!options.texts.empty()) {
    const int most = model->info().context;
    if (options.context < 2 || options.context > most)
      refuse(fmt::format("chunks of {} tokens; 2 to {} are possible", options.context, most), "--window");
  }
  const auto check_weight = [&](double weight, const std::string& name) {
    if (!std::isfinite(weight) || weight <= 0.0 || weight > 1e6)
      refuse(fmt::format("a weight of {}; above 0 and up to 1000000", weight), name.c_str());
  };
  for (const ImportanceText& text : options.texts) check_weight(text.weight, text.name);
  for (const auto& [path, weight] : options.files) check_weight(weight, path);
}

}  // namespace

void measure_importance(std::shared_ptr<const Model> any_model, const ImportanceOptions& options,
                        const std::string& out, const std::function<bool(const ImportanceProgress&)>& on_chunk) {
  check(any_model.get(), options);
  const auto model = loaded(any_model);
  if (model != nullptr && model->architecture().hyperparameters().encoder) {
    throw Error(ErrorKind::kUnsupported,
                "the model makes vectors of whole texts, and importance is measured on models that write text",
                model->info().path, "Q8_0 and F16 need no importance matrix");
  }
  const std::string id = job_of(model.get(), options), part = out + ".part";
  const std::vector<Chunk> chunks = options.texts.empty() ? std::vector<Chunk>() : cut(model->tokenizer(), options);
  ImportanceProgress progress;
  progress.chunks_total = static_cast<int>(chunks.size());
  const auto tell = [&](const ImportanceSums& total) {
    progress.chunks = static_cast<int>(total.job_chunks);
    return !on_chunk || on_chunk(progress);
  };

  ImportanceSums total;
  const bool complete = find_left(out, id, &total) && total.job_chunks == chunks.size();
  if (complete || (find_left(part, id, &total) && total.job_chunks <= chunks.size())) {
    progress.resumed = static_cast<int>(total.job_chunks);
  } else {
    total = {};
    total.job = id;
    for (const auto& [path, weight] : options.files) total.add(ImportanceSums::read(path), weight, path);
    for (const ImportanceText& text : options.texts) total.datasets.push_back(text.name);
    if (!chunks.empty()) total.chunk_size = static_cast<uint32_t>(options.context);
  }
  bool go_on = tell(total);
  if (complete) return;

  if (total.job_chunks < chunks.size()) {
    Runner runner(*model, options.session);
    while (go_on && total.job_chunks < chunks.size()) {
      runner.run(chunks[total.job_chunks], options.context, total);
      ++total.job_chunks;
      ++total.chunks;
      if (options.save_every > 0 && total.job_chunks % static_cast<uint32_t>(options.save_every) == 0)
        total.write(part);
      progress.perplexity = runner.perplexity();
      go_on = tell(total);
    }
  }
  if (total.job_chunks < chunks.size()) {
    if (static_cast<int>(total.job_chunks) > progress.resumed) total.write(part);
    throw Error(ErrorKind::kLimit, fmt::format("stopped after {} of {} chunks", total.job_chunks, chunks.size()));
  }
  total.write(out);
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
}

ImportanceSummary summarize_importance(const std::string& path, int top) {
  const ImportanceSums file = ImportanceSums::read(path);
  ImportanceSummary summary{file.datasets, file.chunks, file.chunk_size, {}};
  for (const auto& [name, tensor] : file.tensors) {
    ImportanceStatistics one;
    one.tensor = name;
    one.columns = tensor.columns;
    one.experts = tensor.experts();
    std::vector<double> shares(tensor.columns);  // of all experts together
    uint64_t asked = 0, zeros = 0;
    for (size_t expert = 0; expert < tensor.counts.size(); ++expert) {
      const auto count = static_cast<double>(tensor.counts[expert]);
      one.rows += count;
      if (count == 0.0) {
        ++one.experts_idle;
        continue;
      }
      asked += tensor.columns;
      for (size_t i = 0; i < tensor.columns; ++i) {
        const double sum = static_cast<double>(tensor.sums[expert * tensor.columns + i]), mean = sum / count;
        shares[i] += sum;
        one.sum += mean;
        one.max = std::max(one.max, mean);
        zeros += sum == 0.0 ? 1 : 0;
      }
    }
    if (asked > 0) {
      one.mean = one.sum / static_cast<double>(asked);
      one.zeros = static_cast<double>(zeros) / static_cast<double>(asked);
    }
    double all = 0, entropy = 0;
    for (const double share : shares) all += share;
    if (all > 0) {
      for (double& share : shares) {
        share /= all;
        if (share > 0) entropy -= share * std::log(share);
      }
      one.entropy = shares.size() > 1 ? entropy / std::log(static_cast<double>(shares.size())) : 0.0;
      for (uint64_t i = 0; i < shares.size(); ++i) one.top.emplace_back(i, shares[i]);
      const auto end = one.top.begin() + std::min<ptrdiff_t>(top, static_cast<ptrdiff_t>(one.top.size()));
      std::partial_sort(one.top.begin(), end, one.top.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
      });
      one.top.erase(end, one.top.end());
    }
    summary.tensors.push_back(std::move(one));
  }
  return summary;
}

}  // namespace fieldprint
