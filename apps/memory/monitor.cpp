// `fieldprint memory monitor`: whether a run drifts away from its anchors.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_monitor.h"
#include "files.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/present.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct MonitorChoice {
  MemoryFlags memory;
  std::string directory, calibration, calibrate;
  ModelOptions model;
  float sample = 0.01f;
  bool tell = false, quiet = false;

  int operator()() const;
};

std::vector<double> read_calibration(const std::string& file) {
  const auto json = nlohmann::json::parse(read_file(file), nullptr, false);
  if (!json.is_array() || !std::ranges::all_of(json, [](const auto& value) { return value.is_number(); }))
    throw Error(ErrorKind::kBadInput, "is no list of distances", file, "--calibrate FILE writes one");
  return json.get<std::vector<double>>();
}

Json report_json(const MonitorReport& report) {
  Json points = Json::array();
  for (const MonitorPoint& point : report.points) {
    Json json{{"index", point.index},       {"session", point.session}, {"tokens", point.tokens},
              {"distance", point.distance}, {"score", point.score},     {"average", point.average},
              {"sum", point.sum},           {"alarm", point.alarm}};
    if (point.divergence) json["divergence"] = *point.divergence;
    points.push_back(std::move(json));
  }
  Json json{{"points", std::move(points)}, {"quantiles", report.quantiles}};
  if (report.bound > 0) json["bound"] = report.bound, json["false_alarms"] = report.false_alarms;
  if (report.kappa) {
    json["reversion"] = {{"kappa", *report.kappa},
                         {"sigma", *report.sigma},
                         {"mean", *report.mean},
                         {"2 kappa > sigma^2", report.reverts}};
  }
  return json;
}

void show(const MonitorReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const MonitorPoint& point : report.points) {
    rows.push_back({std::to_string(point.index), printable_line(point.session), std::to_string(point.tokens),
                    fmt::format("{:.4f}", point.distance), report.bound > 0 ? fmt::format("{:+.2f}", point.score) : "-",
                    report.bound > 0 ? fmt::format("{:.2f}", point.sum) : "-",
                    point.divergence ? fmt::format("{:.4f}", *point.divergence) : "-", point.alarm ? "ALARM" : ""});
  }
  print_table({"EVENT", "SESSION", "TOKENS", "DISTANCE", "SCORE", "CUSUM", "DIVERGENCE", ""}, rows);
  write_out(fmt::format("\ndistance from the anchors, quantiles 5 25 50 75 95 %: {:.4f} {:.4f} {:.4f} {:.4f} {:.4f}\n",
                        report.quantiles[0], report.quantiles[1], report.quantiles[2], report.quantiles[3],
                        report.quantiles[4]));
  if (report.bound > 0)
    write_out(
        fmt::format("alarm above {:.2f}: one false alarm in {:.0f} boundaries\n", report.bound, report.false_alarms));
  if (report.kappa) {
    write_out(fmt::format("reverts to {:.4f}: kappa {:.4f}, sigma {:.4f}; 2 kappa {} sigma^2\n", *report.mean,
                          *report.kappa, *report.sigma, report.reverts ? ">" : "<="));
  } else {
    write_out("the distances do not revert to a mean, or are too few to say\n");
  }
}

int MonitorChoice::operator()() const {
  need(directory, "which export?", "`fieldprint memory export DIR --payloads` writes one");
  const SignalGuard guard;
  const auto loaded = load_model(model);
  MonitorOptions options;
  options.sample = static_cast<double>(sample);
  if (!calibration.empty()) options.calibration = read_calibration(calibration);
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  const MonitorReport report = monitor_memory(directory, loaded, options, bar.callback());
  bar.wipe();
  if (!calibrate.empty()) {
    Json distances = Json::array();
    for (const MonitorPoint& point : report.points) distances.push_back(point.distance);
    AtomicFile file(calibrate);
    file.write(distances.dump() + "\n");
    file.commit();
  }
  if (memory.json) write_json(report_json(report), 2);
  else show(report);
  bool alarmed = false;
  for (const MonitorPoint& point : report.points) {
    if (!point.alarm || alarmed) continue;
    alarmed = true;
    if (!tell) continue;
    Access access(memory);
    access.call("alarm", {{"what", "drift"},
                          {"detail", fmt::format("session {}, event {}: CUSUM {:.2f} above {:.2f}", point.session,
                                                 point.index, point.sum, report.bound)}});
  }
  return alarmed ? 1 : kDone;
}

}  // namespace

Action add_memory_monitor(CLI::App& app) {
  auto choice = std::make_shared<MonitorChoice>();
  add_text(app, "DIR", choice->directory, "DIR", "An export with payloads");
  add_model(app, choice->model.model);
  add_text(app, "--calibrate", choice->calibrate, "FILE", "Write this run's distances, which are known to be good")
      ->group("Alarms");
  add_text(app, "--calibration", choice->calibration, "FILE", "What good runs look like: with it there are alarms")
      ->group("Alarms");
  add_flag(app, "--tell", choice->tell, "Put an ALARM event into the memory's ledger")->group("Alarms");
  add_number(app, "--sample", choice->sample, 0, 1, "The share of boundaries computed once more without the anchors")
      ->group("Which");
  add_adapters(app, choice->model.load);
  add_threads(app, choice->model.load);
  add_access(app, choice->memory);
  add_quiet(app, choice->quiet);
  app.footer(
      "  fieldprint memory monitor good-export --calibrate good.json\n"
      "  fieldprint memory monitor export --calibration good.json --tell");
  return [choice] { return (*choice)(); };
}

}  // namespace fieldprint::cli
