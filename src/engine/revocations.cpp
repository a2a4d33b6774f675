#include "engine/revocations.h"

namespace fieldprint {

Revocations::Revocations(std::span<const std::string> sources) {
  if (!sources.empty()) add(sources);
}

void Revocations::add(std::span<const std::string> sources) {
  for (const std::string& source : sources) {
    if (source.empty()) throw Error(ErrorKind::kUsage, "a source without a name cannot be revoked");
  }
  const std::lock_guard lock(mutex_);
  sources_.insert(sources.begin(), sources.end());
  epoch_.fetch_add(1, std::memory_order_release);
}

void Revocations::add_damaged(const VisibleTokens& anchor) {
  const std::lock_guard lock(mutex_);
  damages_.push_back({anchor, epoch() + 1});
  epoch_.fetch_add(1, std::memory_order_release);
}

std::optional<Revocations::Hit> Revocations::find_locked(const Spans& labels) const {
  if (sources_.empty()) return {};
  for (const Spans::Span& span : labels.all()) {
    if (sources_.contains(span.label.source)) return Hit{span.begin, span.label};
  }
  return {};
}

std::optional<Revocations::Hit> Revocations::find(const Spans& labels) const {
  const std::lock_guard lock(mutex_);
  return find_locked(labels);
}

std::optional<Revocations::Hit> Revocations::find(std::span<const TokenId> tokens, const Spans& labels,
                                                  uint64_t epoch) const {
  const std::lock_guard lock(mutex_);
  for (const Damage& damage : damages_) {
    const size_t size = damage.anchor.tokens.size();
    if (damage.epoch > epoch && tokens.size() >= size && damage.anchor.common(tokens, labels) == size)
      return Hit{0, damage.anchor.labels.at(0).label, true};
  }
  return find_locked(labels);
}

bool Revocations::leave_out(VisibleTokens& text, bool keeps_last, bool seen) const {
  const std::lock_guard lock(mutex_);
  if (sources_.empty() && !seen) return false;
  VisibleTokens left{std::span<const TokenId>()};
  const auto size = static_cast<int>(text.tokens.size());
  bool changed = false;
  for (const Spans::Span& span : text.labels.all()) {
    if (span.begin >= size) break;
    const bool last = span.end >= size;
    const bool revoked = sources_.contains(span.label.source);
    seen = seen || revoked;
    if (revoked || (seen && span.label.kind == SpanKind::kGenerated && !(last && keeps_last))) {
      changed = true;
      continue;
    }
    left.labels.set(static_cast<int>(left.tokens.size()), span.label);
    left.tokens.insert(left.tokens.end(), text.tokens.begin() + span.begin,
                       text.tokens.begin() + std::min(span.end, size));
  }
  if (changed) text = std::move(left);
  return changed;
}

}  // namespace fieldprint
