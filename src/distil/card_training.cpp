// A training, from the folder that `train --out` wrote.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "base/json.h"
#include "base/number.h"
#include "distil/card_parts.h"
#include "distil/markdown.h"
#include "distil/prompts.h"
#include "fieldprint/chart.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

namespace fs = std::filesystem;

// Columns of log.csv by their names; an empty cell is NaN.
class Log {
 public:
  explicit Log(const std::string& path) : path_(path), rows_(read_csv(read_whole(path), path)) {
    if (rows_.size() < 2) throw Error(ErrorKind::kBadInput, "the log of this training has no step", path);
  }
  std::vector<double> column(std::string_view name) const {
    const auto found = std::find(rows_[0].begin(), rows_[0].end(), name);
    if (found == rows_[0].end())
      throw Error(ErrorKind::kBadInput, fmt::format("this is no log of a training: it has no column \"{}\"", name),
                  path_);
    const auto at = static_cast<size_t>(found - rows_[0].begin());
    std::vector<double> values;
    for (size_t i = 1; i < rows_.size(); ++i) {
      const std::string cell = at < rows_[i].size() ? rows_[i][at] : "";
      char* end = nullptr;
      const double value = cell.empty() ? std::nan("") : strtod_c(cell.c_str(), &end);
      if (!cell.empty() && *end != '\0')
        throw Error(ErrorKind::kBadInput, "this is no number", fmt::format("{}:{}", path_, i + 1));
      values.push_back(value);
    }
    return values;
  }
  // The same, where the log counts something.
  std::vector<double> counts(std::string_view name) const {
    auto values = column(name);
    for (size_t i = 0; i < values.size(); ++i)
      if (!std::isnan(values[i]) && !(values[i] >= 0 && values[i] < 1e18))
        throw Error(ErrorKind::kBadInput, fmt::format("\"{}\" is no count", name), fmt::format("{}:{}", path_, i + 2));
    return values;
  }

 private:
  std::string path_;
  std::vector<std::vector<std::string>> rows_;
};

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values)
    if (std::isfinite(value)) total += value;
  return total;
}

// Those that are there, with their x.
ChartLine line_of(std::string name, const std::vector<double>& x, const std::vector<double>& y, bool dashed) {
  ChartLine line;
  line.name = std::move(name), line.dashed = dashed;
  for (size_t i = 0; i < x.size(); ++i)
    if (std::isfinite(x[i]) && std::isfinite(y[i])) line.x.push_back(x[i]), line.middle.push_back(y[i]);
  return line;
}

// What an adapter is, in words; "" where the folder has none.
std::string adapter_text(const fs::path& folder) {
  const std::string path = (folder / "adapter_config.json").string();
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const auto json = parse_ordered_json(read_whole(path), path);
  const auto number = [&](const char* name) {
    const auto found = json.find(name);
    return json.is_object() && found != json.end() && found->is_number() ? fmt::format("{:g}", found->get<double>())
                                                                         : std::string("?");
  };
  return fmt::format("- an adapter (LoRA) of rank {}, alpha {}\n", number("r"), number("lora_alpha"));
}

}  // namespace

TrainingPart training_part(const std::string& folder) {
  const fs::path in(folder);
  const Log log((in / "log.csv").string());
  const auto steps = log.counts("step"), loss = log.column("loss"), mean = log.column("mean_loss"),
             held_out = log.column("eval_loss"), seconds = log.column("seconds");
  TrainingPart part;
  const double all = sum(log.counts("tokens")), learned = sum(log.counts("learned"));
  part.markdown = fmt::format("- {:g} steps, {:.0f} tokens, {:.0f} of them learned\n", steps.back(), all, learned);
  part.markdown += adapter_text(in);
  part.markdown += fmt::format("- training loss (mean over the last steps): {:.4f} -> {:.4f} nats a token\n",
                               mean.front(), mean.back());
  std::optional<size_t> first, best;
  for (size_t i = 0; i < held_out.size(); ++i) {
    if (!std::isfinite(held_out[i])) continue;
    if (!first) first = i;
    if (!best || held_out[i] < held_out[*best]) best = i;
  }
  if (best)
    part.markdown += fmt::format("- held-out loss: {:.4f} at step {:g}, the best {:.4f} at step {:g}\n",
                                 held_out[*first], steps[*first], held_out[*best], steps[*best]);
  const double skipped = sum(log.counts("skipped"));
  if (skipped > 0)
    part.markdown += fmt::format("- {:g} steps were skipped: loss or gradient was not finite\n", skipped);
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(in, error)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && (extension == ".gguf" || extension == ".safetensors")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files)
    part.markdown +=
        fmt::format("- {}: SHA-256 `{}`\n", code_span(file.filename().string()), file_sha256(file.string()));

  Chart chart;
  chart.title = "Loss of the training";
  chart.x.title = "step", chart.y.title = "nats a token";
  chart.lines.push_back(line_of("a step", steps, loss, true));
  chart.lines.push_back(line_of("mean", steps, mean, false));
  if (best) chart.lines.push_back(line_of("held out", steps, held_out, false));
  part.svg = line_chart(chart);
  return part;
}

}  // namespace fieldprint::distil
