#include "train/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fieldprint/atomic_file.h"
#include "fieldprint/chart.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kColumns =
    "step,loss,mean_loss,accuracy,learning_rate,norm,tokens,learned,seconds,tokens_per_second,skipped,eval_loss,"
    "eval_accuracy\n";

// JSON has no word for what is not finite.
ordered_json number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(); }

std::string json_line(const TrainPoint& p) {
  ordered_json line = {{"step", p.step},
                       {"loss", number(p.loss)},
                       {"mean_loss", number(p.mean_loss)},
                       {"accuracy", number(p.accuracy)},
                       {"learning_rate", p.learning_rate},
                       {"norm", number(p.norm)},
                       {"tokens", p.tokens},
                       {"learned", p.learned},
                       {"seconds", p.seconds},
                       {"tokens_per_second", p.tokens_per_second},
                       {"skipped", p.skipped}};
  if (p.eval_loss) line["eval_loss"] = number(*p.eval_loss), line["eval_accuracy"] = number(*p.eval_accuracy);
  if (!p.experts.empty()) line["experts"] = p.experts;
  return line.dump() + "\n";
}

// What is not finite is left empty.
std::string csv_line(const TrainPoint& p) {
  const auto text = [](std::optional<double> value) {
    return value && std::isfinite(*value) ? fmt::format("{}", *value) : "";
  };
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}\n", p.step, text(p.loss), text(p.mean_loss),
                     text(p.accuracy), text(p.learning_rate), text(p.norm), p.tokens, p.learned, text(p.seconds),
                     text(p.tokens_per_second), p.skipped ? 1 : 0, text(p.eval_loss), text(p.eval_accuracy));
}

double value(const ordered_json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : std::nan("");
}

// A line that was cut short when its writer died is none.
bool read_point(const std::string& text, TrainPoint& p) {
  const ordered_json line = ordered_json::parse(text, nullptr, false);
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) return false;
  p.step = line["step"];
  p.loss = value(line, "loss"), p.mean_loss = value(line, "mean_loss"), p.accuracy = value(line, "accuracy");
  p.learning_rate = value(line, "learning_rate"), p.norm = value(line, "norm");
  p.tokens = line.value("tokens", int64_t{0}), p.learned = line.value("learned", int64_t{0});
  p.seconds = value(line, "seconds"), p.tokens_per_second = value(line, "tokens_per_second");
  p.skipped = line.value("skipped", false);
  if (line.contains("eval_loss"))
    p.eval_loss = value(line, "eval_loss"), p.eval_accuracy = value(line, "eval_accuracy");
  if (line.contains("experts")) p.experts = line["experts"].get<std::vector<std::vector<float>>>();
  return true;
}

// 1 where all experts are chosen equally often, 0 where one is alone: entropy over its largest.
double evenness(const std::vector<float>& shares) {
  double entropy = 0;
  for (const float share : shares) {
    if (share > 0) entropy -= static_cast<double>(share) * std::log(static_cast<double>(share));
  }
  return shares.size() > 1 ? entropy / std::log(static_cast<double>(shares.size())) : 1;
}

void write_whole(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace

TrainLog::TrainLog(std::string folder, int64_t step) : folder_(std::move(folder)) {
  std::string lines, rows(kColumns);
  std::ifstream old(folder_ + "/log.jsonl");
  for (std::string line; step > 0 && std::getline(old, line);) {
    TrainPoint point;
    if (!read_point(line, point) || point.step > step) continue;
    lines += json_line(point);
    rows += csv_line(point);
    points_.push_back(point);
  }
  write_whole(folder_ + "/log.jsonl", lines);
  write_whole(folder_ + "/log.csv", rows);
}

void TrainLog::append(const std::string& file, const std::string& line) const {
  const std::string path = folder_ + "/" + file;
  std::ofstream out(path, std::ios::app | std::ios::binary);
  out << line << std::flush;
  if (!out) throw Error(ErrorKind::kIo, "could not be written", path);
}

void TrainLog::add(const TrainPoint& point) {
  points_.push_back(point);
  append("log.jsonl", json_line(point));
  append("log.csv", csv_line(point));
}

void TrainLog::draw() const {
  Chart chart{.title = "Loss", .x = {.title = "step"}, .y = {.title = "nats a token"}, .lines = {}};
  ChartLine loss{.name = "learned from", .x = {}, .middle = {}, .low = {}, .high = {}};
  ChartLine held{.name = "held out", .x = {}, .middle = {}, .low = {}, .high = {}};
  const size_t stride = points_.size() / 1000 + 1;  // more than the picture has pixels for
  for (size_t i = 0; i < points_.size(); ++i) {
    const TrainPoint& point = points_[i];
    if (i % stride == 0 || i + 1 == points_.size()) {
      loss.x.push_back(static_cast<double>(point.step));
      loss.middle.push_back(point.loss);
    }
    if (!point.eval_loss) continue;
    held.x.push_back(static_cast<double>(point.step));
    held.middle.push_back(*point.eval_loss);
  }
  chart.lines.push_back(std::move(loss));
  if (!held.x.empty()) chart.lines.push_back(std::move(held));
  write_whole(folder_ + "/loss.svg", line_chart(chart));
  draw_experts();
}

void TrainLog::draw_experts() const {
  const TrainPoint* last = nullptr;
  Chart chart{.title = "How evenly experts are chosen",
              .x = {.title = "step"},
              .y = {.title = "entropy of their shares, 1: all equal", .low = 0, .high = 1},
              .lines = {}};
  for (const TrainPoint& point : points_) {
    if (point.experts.empty()) continue;
    last = &point;
    chart.lines.resize(point.experts.size());
    for (size_t layer = 0; layer < point.experts.size(); ++layer) {
      chart.lines[layer].name = fmt::format("mixture {}", layer + 1);
      chart.lines[layer].x.push_back(static_cast<double>(point.step));
      chart.lines[layer].middle.push_back(evenness(point.experts[layer]));
    }
  }
  if (last == nullptr) return;
  write_whole(folder_ + "/balance.svg", line_chart(chart));
  std::vector<float> shares;
  for (const auto& layer : last->experts) shares.insert(shares.end(), layer.begin(), layer.end());
  const WeightMap map{.title = "one row a mixture, one column an expert",
                      .rows = static_cast<int>(last->experts.size()),
                      .columns = static_cast<int>(last->experts[0].size()),
                      .weights = shares};
  write_whole(folder_ + "/experts.svg",
              weight_maps(fmt::format("Shares of the experts, step {}", last->step), std::span(&map, 1), 1));
}

}  // namespace fieldprint
