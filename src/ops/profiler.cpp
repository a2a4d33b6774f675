#include "ops/profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fieldprint {
namespace {

constexpr size_t kMaxEvents = 1 << 20;  // a trace that a browser still opens; the sums go on

Work operator-(const Work& a, const Work& b) {
  return {a.bytes - b.bytes, a.int8_operations - b.int8_operations, a.float_operations - b.float_operations};
}

// "blk.3.ffn_down.weight": 3 and "ffn_down".
std::string_view split_name(std::string_view name, int* layer) {
  if (name.starts_with("blk.")) {
    name.remove_prefix(4);
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), *layer);
    name.remove_prefix(std::min<size_t>(name.size(), static_cast<size_t>(end - name.data()) + 1));
  } else if (!name.empty()) {
    *layer = -1;
  }
  if (name.ends_with(".weight")) name.remove_suffix(7);
  return name;
}

std::string label(std::string_view op, std::string_view stem, size_t weights) {
  std::string text(op);
  if (!stem.empty()) text += fmt::format(" {}", stem);
  if (weights > 1) text += fmt::format(" +{}", weights - 1);
  return text;
}

// A name from a model file inside a JSON string.
std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else out += c;
  }
  return out;
}

}  // namespace

std::shared_ptr<Profile> Profile::create() { return std::make_shared<Profiler>(); }

void Profiler::enter(const char* op, std::string_view weight, int layer, size_t weights, const Work& work) {
  if (layer >= 0) layer_ = layer;
  const std::string_view stem = split_name(weight, &layer_);
  open_.push_back({op, stem, layer_, weights, Clock::now(), work, 0, {}});
}

void Profiler::leave(const Work& work) {
  const auto now = Clock::now();
  const Open scope = open_.back();
  open_.pop_back();
  const double seconds = std::chrono::duration<double>(now - scope.begin).count();
  const Work all = work - scope.work;
  if (!open_.empty()) {
    open_.back().inner_seconds += seconds;
    open_.back().inner += all;
  }
  const double begin = std::chrono::duration<double>(scope.begin - begin_).count();
  const Event event{
      phase_, scope.op,         scope.stem, scope.layer, scope.weights, begin, seconds, seconds - scope.inner_seconds,
      all,    all - scope.inner};
  if (events_.size() < kMaxEvents) events_.push_back(event);
  else add(event, sums_);
}

void Profiler::add(const Event& event, Sums& sums) {
  Sum& sum = sums[{event.phase, event.op, event.stem, event.weights, event.layer}];
  ++sum.calls;
  sum.seconds += event.own_seconds;
  sum.work += event.own;
}

void Profiler::clear() {
  sums_.clear();
  events_.clear();
  begin_ = Clock::now();
}

std::vector<ProfileRow> Profiler::rows(bool by_layer) const {
  std::map<std::tuple<std::string, std::string, int>, ProfileRow> merged;
  Sums sums = sums_;
  for (const Event& event : events_) add(event, sums);
  for (const auto& [key, sum] : sums) {
    const auto& [phase, op, stem, weights, layer] = key;
    const std::string name = by_layer ? std::string() : label(op, stem, weights);
    const int of = by_layer ? layer : -1;
    ProfileRow& row = merged[{std::string(phase), name, of}];
    row.phase = phase;
    row.op = name;
    row.layer = of;
    row.calls += sum.calls;
    row.seconds += sum.seconds;
    row.bytes += sum.work.bytes;
    row.int8_operations += sum.work.int8_operations;
    row.float_operations += sum.work.float_operations;
  }
  std::vector<ProfileRow> out;
  for (auto& [key, row] : merged) out.push_back(std::move(row));
  std::stable_sort(out.begin(), out.end(), [by_layer](const ProfileRow& a, const ProfileRow& b) {
    if (a.phase != b.phase) return a.phase > b.phase;  // prefill comes first
    return by_layer ? a.layer < b.layer : a.seconds > b.seconds;
  });
  return out;
}

std::vector<ProfileRow> Profiler::by_op() const { return rows(false); }
std::vector<ProfileRow> Profiler::by_layer() const { return rows(true); }

// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: complete events, microseconds.
std::string Profiler::trace() const {
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  for (size_t i = 0; i < events_.size(); ++i) {
    const Event& e = events_[i];
    out += fmt::format(R"({{"name":"{}","cat":"{}","ph":"X","pid":1,"tid":1,"ts":{:.3f},"dur":{:.3f},)"
                       R"("args":{{"layer":{},"bytes":{},"int8_operations":{},"float_operations":{}}}}}{})",
                       json_escaped(label(e.op, e.stem, 1)), e.phase, e.begin * 1e6, e.seconds * 1e6, e.layer,
                       e.work.bytes, e.work.int8_operations, e.work.float_operations,
                       i + 1 < events_.size() ? ",\n" : "\n");
  }
  return out + "]}\n";
}

}  // namespace fieldprint
