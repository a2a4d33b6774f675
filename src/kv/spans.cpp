#include "kv/spans.h"

#include <algorithm>

namespace fieldprint {

std::string_view span_kind_name(SpanKind kind) {
  constexpr std::string_view kNames[] = {"text", "system", "user", "tool", "retrieved", "generated", "anchor"};
  return kNames[static_cast<size_t>(kind)];
}

void Spans::set(int begin, const SpanLabel& label) {
  truncate(begin);
  if (spans_.back().label == label) return;
  if (spans_.back().begin == begin) {  // the first one, still empty
    spans_.back().label = label;
    return;
  }
  spans_.back().end = begin;
  spans_.push_back({begin, kOpen, label});
}

void Spans::truncate(int position) {
  while (spans_.size() > 1 && spans_.back().begin >= position) spans_.pop_back();
  spans_.back().end = kOpen;
}

int Spans::index(int position) const {
  const auto after =
      std::upper_bound(spans_.begin(), spans_.end(), position, [](int p, const Span& span) { return p < span.begin; });
  return static_cast<int>(after - spans_.begin()) - 1;
}

}  // namespace fieldprint
