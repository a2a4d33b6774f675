// The monitor over an export: states at boundaries are computed again, as an audit does it, and compared with the state
// behind the anchors that the answer began with.
#include <algorithm>
#include <cmath>
#include <map>

#include "fieldprint/error.h"
#include "fieldprint/memory_monitor.h"
#include "fieldprint/scheduler.h"
#include "memory/commit_digests.h"
#include "memory/monitor.h"
#include "memory/recorded.h"

namespace fieldprint {

using namespace memory;

namespace {

// States and logits of prompts, one after the other.
class Reader {
 public:
  explicit Reader(std::shared_ptr<const Model> model)
      : model_(std::move(model)), ring_(std::make_shared<BoundaryRing>()) {
    SchedulerOptions options;
    options.streams = 1;
    options.boundaries = ring_;
    scheduler_ = std::make_unique<Scheduler>(model_, options);
  }
  ~Reader() { ring_->abandon(); }

  std::vector<float> state(std::vector<LabelledTokens> spans) {
    Request request;
    request.spans = std::move(spans);
    request.sampling.max_tokens = 0;
    request.boundaries = true;
    scheduler_->submit(std::move(request)).wait();
    Boundary boundary;
    ring_->take(boundary);
    return std::move(boundary.hidden);
  }
  std::vector<float> logits(const std::vector<LabelledTokens>& spans) {
    Session session(model_);
    session.append(spans);
    return {session.logits().begin(), session.logits().end()};
  }

 private:
  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<BoundaryRing> ring_;
  std::unique_ptr<Scheduler> scheduler_;
};

bool is_anchor_span(const LabelledTokens& span) { return span.label.kind == SpanKind::kAnchor; }

// Every n-th boundary, so that the sample does not depend on chance.
bool sampled(size_t number, double share) {
  return share > 0 &&
         std::floor(static_cast<double>(number + 1) * share) > std::floor(static_cast<double>(number) * share);
}

}  // namespace

MonitorReport monitor_memory(const std::string& directory, std::shared_ptr<const Model> model,
                             const MonitorOptions& options, const Progress& progress) {
  const std::vector<RecordedCommit> all = recorded_commits(directory, nullptr);
  std::optional<DriftMonitor> monitor;
  if (!options.calibration.empty()) monitor.emplace(Calibration(options.calibration), options.false_alarms);
  Reader reader(model);
  MonitorReport report;
  std::map<std::pair<uint64_t, int>, Course> courses;
  std::map<std::vector<TokenId>, std::vector<float>> references;  // by the anchors' tokens
  uint64_t done = 0;
  for (const RecordedCommit& one : all) {
    if (one.event.id(Field::kModel) != model_digest(*model)) {
      throw Error(ErrorKind::kBadInput, "the session was run with another model", model->info().path);
    }
    Course& course = courses[{one.boundary.stream, one.boundary.answer}];
    course.follow(one.boundary);
    if (progress && !progress("monitor", ++done, all.size())) throw Error(ErrorKind::kLimit, "stopped");
    if (one.boundary.hidden.empty() || course.tokens.empty()) continue;
    const std::vector<LabelledTokens> spans = course.spans();
    std::vector<LabelledTokens> anchors, rest;
    std::vector<TokenId> key;
    for (const LabelledTokens& span : spans) {
      (is_anchor_span(span) ? anchors : rest).push_back(span);
      if (is_anchor_span(span)) key.insert(key.end(), span.tokens.begin(), span.tokens.end());
    }
    if (anchors.empty() || rest.empty()) continue;
    auto& reference = references[key];
    if (reference.empty()) reference = reader.state(anchors);
    MonitorPoint point;
    point.index = one.index;
    point.session = one.event.at(Field::kSession).text();
    point.tokens = static_cast<int>(course.tokens.size());
    point.distance = sphere_distance(reader.state(spans), reference);
    if (monitor) {
      const DriftMonitor::Reading reading = monitor->observe(point.distance);
      point.score = reading.score;
      point.average = reading.average;
      point.sum = reading.sum;
      point.alarm = reading.alarm;
    }
    if (sampled(report.points.size(), options.sample)) {
      point.divergence = js_divergence(reader.logits(spans), reader.logits(rest));
    }
    report.points.push_back(std::move(point));
  }
  if (report.points.empty()) {
    throw Error(ErrorKind::kNotFound, "the export has no answers that began with anchors", directory);
  }
  std::vector<double> distances;
  for (const MonitorPoint& point : report.points) distances.push_back(point.distance);
  if (const auto fit = fit_reversion(distances)) {
    report.kappa = fit->kappa;
    report.sigma = fit->sigma;
    report.mean = fit->mean;
    report.reverts = fit->holds();
  }
  std::ranges::sort(distances);
  constexpr double kShares[] = {0.05, 0.25, 0.5, 0.75, 0.95};
  for (size_t i = 0; i < std::size(kShares); ++i) {
    report.quantiles[i] =
        distances[static_cast<size_t>(std::lround(kShares[i] * static_cast<double>(distances.size() - 1)))];
  }
  if (monitor) {
    report.bound = monitor->bound();
    report.false_alarms = options.false_alarms;
  }
  return report;
}

}  // namespace fieldprint
