// Kinds, learning rates and seeds side by side: each run on one thread, so that nothing waits for anything.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "base/thread_pool.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "fieldprint/lab.h"
#include "lab/held_out.h"
#include "lab/maps.h"
#include "lab/model.h"
#include "lab/record.h"
#include "lab/report.h"

namespace fieldprint {
namespace {

void write_file(const std::string& folder, const std::string& name, const std::string& text) {
  AtomicFile file((std::filesystem::path(folder) / name).string());
  file.write(text);
  file.commit();
}

void make_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) throw Error(ErrorKind::kIo, "cannot be made: " + failed.message(), path);
}

std::vector<LabSettings> settings_of(const LabComparison& comparison) {
  const auto refuse_twice = [](const auto& values, const char* what) {
    for (auto one = values.begin(); one != values.end(); ++one) {
      if (std::find(values.begin(), one, *one) != one)
        throw Error(ErrorKind::kUsage, fmt::format("the {} {} is named twice", what, *one));
    }
  };
  refuse_twice(comparison.kinds, "kind");
  refuse_twice(comparison.learning_rates, "learning rate");
  const std::string content = content_of(comparison.settings);
  std::vector<LabSettings> all;
  for (const std::string& kind : comparison.kinds) {
    lab_kind(kind);
    for (const float rate : comparison.learning_rates) {
      for (int i = 0; i < comparison.seeds; ++i) {
        LabSettings one = comparison.settings;
        one.kind = kind;
        one.learning_rate = rate;
        one.content = content;
        one.seed += static_cast<uint64_t>(i);
        all.push_back(one);
      }
    }
  }
  if (all.empty()) throw Error(ErrorKind::kUsage, "a comparison takes a kind, a learning rate and a seed at least");
  return all;
}

// The runs that are not in the folder yet.
class Runner {
 public:
  Runner(const LabComparison& comparison, std::vector<LabSettings> settings)
      : comparison_(comparison),
        settings_(std::move(settings)),
        runs_(settings_.size()),
        folder_((std::filesystem::path(comparison.out) / "runs").string()) {
    make_folder(folder_);
    for (size_t i = 0; i < settings_.size(); ++i) {
      if (!read(i)) open_.push_back(i);
    }
    // Kinds take turns, so that a machine that others slow down for a while does so to all of them.
    std::stable_sort(open_.begin(), open_.end(),
                     [this](size_t a, size_t b) { return settings_[a].seed < settings_[b].seed; });
  }

  std::vector<LabRun> run(const Progress& progress) {
    const int threads = comparison_.options.threads > 0 ? comparison_.options.threads : hardware_threads();
    workers_ = static_cast<int>(std::min(static_cast<size_t>(threads), open_.size()));
    std::vector<std::thread> workers;
    for (int i = 0; i < workers_; ++i) workers.emplace_back([this] { work(); });
    watch(progress);
    for (std::thread& worker : workers) worker.join();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(runs_);
  }

 private:
  std::string file(size_t i, const char* ending) const {
    return (std::filesystem::path(folder_) / (run_name(settings_[i]) + ending)).string();
  }

  bool read(size_t i) {
    std::ifstream in(file(i, ".json"), std::ios::binary);
    if (!in) return false;
    runs_[i] = parse_run({std::istreambuf_iterator<char>(in), {}}, file(i, ".json"));
    return same_settings(runs_[i].settings, settings_[i]) && std::filesystem::exists(file(i, ".gguf"));
  }

  // On a thread of its own. A run's record is written last, so that one that is there is whole.
  void work() {
    for (size_t next = next_++; next < open_.size() && !stop_; next = next_++) {
      const size_t i = open_[next];
      LabOptions options = comparison_.options;
      options.threads = 1;
      options.save = file(i, ".gguf");
      try {
        uint64_t seen = 0;
        LabRun run = run_lab(settings_[i], options, [&](std::string_view, uint64_t done, uint64_t) {
          tokens_ += done - seen;
          seen = done;
          return !stop_;
        });
        run.side_by_side = workers_;
        write_file(folder_, run_name(settings_[i]) + ".json", run_json(run));
        runs_[i] = std::move(run);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        stop_ = true;
      }
      const std::lock_guard lock(mutex_);
      ++finished_;
      changed_.notify_one();
    }
    const std::lock_guard lock(mutex_);
    ++ended_;
    changed_.notify_one();
  }

  // Reports on the caller's thread until all workers have ended.
  void watch(const Progress& progress) {
    uint64_t total = 0;
    for (const size_t i : open_) {
      const LabSettings& s = settings_[i];
      total += static_cast<uint64_t>(s.steps) * static_cast<uint64_t>(s.batch) * static_cast<uint64_t>(s.length);
    }
    std::unique_lock lock(mutex_);
    while (ended_ < workers_) {
      changed_.wait_for(lock, std::chrono::milliseconds(200));
      const std::string what = fmt::format("{} of {} runs", runs_.size() - open_.size() + finished_, runs_.size());
      lock.unlock();
      if (progress && !progress(what, tokens_, total)) stop_ = true;
      lock.lock();
    }
  }

  const LabComparison& comparison_;
  const std::vector<LabSettings> settings_;
  std::vector<LabRun> runs_;
  std::vector<size_t> open_;
  std::string folder_;
  int workers_ = 0;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> tokens_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t finished_ = 0;
  int ended_ = 0;
  std::exception_ptr failure_;
};

}  // namespace

std::vector<LabRun> compare_lab(const LabComparison& comparison, const Progress& progress) {
  std::vector<LabRun> runs = Runner(comparison, settings_of(comparison)).run(progress);
  write_file(comparison.out, "steps.csv", steps_csv(runs));
  write_file(comparison.out, "steps.jsonl", steps_jsonl(runs));
  write_file(comparison.out, "runs.csv", runs_csv(runs));
  write_file(comparison.out, "runs.jsonl", runs_jsonl(runs));

  const std::vector<ReportPicture> curves = curves_of(runs);
  std::vector<ReportPicture> maps;
  for (const RunGroup& group : best_groups(runs)) {
    const LabSettings& settings = group.runs[0]->settings;
    const auto model = std::filesystem::path(comparison.out) / "runs" / (run_name(settings) + ".gguf");
    maps.push_back({fmt::format("heads-{}.svg", group.kind), fmt::format("attention of the heads of {}", group.kind),
                    head_maps(settings, model.string())});
  }
  for (const ReportPicture& one : curves) write_file(comparison.out, one.file, one.svg);
  for (const ReportPicture& one : maps) write_file(comparison.out, one.file, one.svg);
  const Page page = comparison_page(comparison, runs, curves, maps);
  write_file(comparison.out, "report.md", page.markdown());
  write_file(comparison.out, "report.html", page.html());
  return runs;
}

void write_lab_run(const LabRun& run, const std::string& folder) {
  make_folder(folder);
  const std::span<const LabRun> one(&run, 1);
  write_file(folder, "run.json", run_json(run));
  write_file(folder, "steps.csv", steps_csv(one));
  write_file(folder, "steps.jsonl", steps_jsonl(one));
}

}  // namespace fieldprint
