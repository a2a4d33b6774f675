#include "ops/run_sequence.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "kv/page_hash.h"

namespace fieldprint {
namespace {

// The recurrent state is kept at the ends of prompts and every kSnapshotTokens tokens: going back there replays
// nothing. One that a short replay rebuilds is small; one that nothing rebuilds may be tens of megabytes.
constexpr int kSnapshotTokens = 64;
constexpr int64_t kMaxReplayableBytes = 16 << 20, kMaxSnapshotBytes = 256 << 20;

}  // namespace

RunSequence::RunSequence(const KvLayout& layout, PagePool& pool)
    : SequenceState(kExecutor),
      pages_(layout, pool),
      recurrent_(layout, layout.state_replay() == kNoReplay ? kMaxSnapshotBytes : kMaxReplayableBytes) {}

int RunSequence::truncate(int tokens) {
  spans.truncate(tokens);
  pages_.truncate(tokens);
  return recurrent_.rewind(tokens);
}

std::vector<PageInfo> RunSequence::pages(const std::string& fingerprint, std::span<const TokenId> tokens) const {
  const auto hashes = page_hashes(fingerprint, pages_, spans, tokens);
  std::vector<PageInfo> all;
  for (const KvEntry& entry : pages_.entries()) {
    all.push_back({.begin = entry.begin,
                   .end = entry.end,
                   .label = spans.at(entry.begin).label,
                   .pinned = entry.page->pinned(),
                   .shared = entry.page->shared(),
                   .hash = hashes[all.size()]});
  }
  return all;
}

StateFormat RunSequence::format() const {
  const KvLayout& layout = pages_.layout();
  return {.kv_type = kv_type_name(layout.type()),
          .token_bytes = layout.bytes_per_token(),
          .recurrent_bytes =
              recurrent_.reach() == kNoReplay ? static_cast<int64_t>(std::as_bytes(recurrent_.values()).size()) : 0,
          .page_size = layout.page_size(),
          .page_bytes = layout.page_bytes()};
}

void RunSequence::export_tokens(int begin, int end, std::span<std::byte> bytes) const {
  const auto each = static_cast<size_t>(pages_.layout().bytes_per_token());
  for (int p = begin; p < end; ++p, bytes = bytes.subspan(each)) pages_.copy_out(p, bytes.first(each));
}

void RunSequence::import_tokens(int begin, int end, std::span<const std::byte> bytes) {
  const auto each = static_cast<size_t>(pages_.layout().bytes_per_token());
  reserve(begin, end);
  for (int p = begin; p < end; ++p, bytes = bytes.subspan(each)) pages_.copy_in(p, bytes.first(each));
}

void RunSequence::export_recurrent(std::span<std::byte> bytes) const {
  const auto values = std::as_bytes(recurrent_.values());
  assert(bytes.size() == values.size());
  std::copy(values.begin(), values.end(), bytes.begin());
}

void RunSequence::import_recurrent(int tokens, std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  recurrent_.restore(tokens, values);
}

void RunSequence::begin(int first_position, int end, bool replay) {
  if (!replay) reserve(first_position, end);  // a replay writes no K/V
  if (measures_) meter_.begin(end, spans);
}

void RunSequence::finish(int first_position, int end) {
  if (measures_) meter_.finish(&influence);
  if (end - first_position > 1 || end % kSnapshotTokens == 0) recurrent_.snapshot(end);
}

void RunSequence::reserve(int begin, int end) {
  for (int p = begin; p < end;) {
    const Spans::Span& span = spans.at(p);
    const int stop = std::min(end, span.end);
    pages_.reserve(p, stop, span.begin);
    p = stop;
  }
}

}  // namespace fieldprint
