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
constexpr int kSlimSnapshots = 4;  // the latest, and some of those before it

}  // namespace

RunSequence::RunSequence(const KvLayout& layout, PagePool& pool, std::vector<WindowedKv> windows)
    : SequenceState(kExecutor),
      pages_(layout, pool),
      windows_(std::move(windows)),
      recurrent_(layout, layout.state_replay() == kNoReplay ? kMaxSnapshotBytes : kMaxReplayableBytes) {}

std::vector<WindowedKv> RunSequence::windows_of(std::deque<WindowLayers>& layers) {
  std::vector<WindowedKv> all;
  all.reserve(layers.size());
  for (WindowLayers& one : layers) all.emplace_back(one);
  return all;
}

const WindowedKv* RunSequence::windowed(int layer) const {
  for (const WindowedKv& one : windows_) {
    if (one.pages().layout().layer(layer).kv_heads > 0) return &one;
  }
  return nullptr;
}

KvSequence& RunSequence::kv(int layer) {
  const WindowedKv* one = windowed(layer);
  return one != nullptr ? const_cast<WindowedKv*>(one)->pages() : pages_;
}
bool RunSequence::rebuilds(int layer) const {
  const WindowedKv* one = windowed(layer);
  return one != nullptr && one->rebuilding();
}
int RunSequence::first_key(int layer) const {
  const WindowedKv* one = windowed(layer);
  return one != nullptr ? one->first_key() : 0;
}

int64_t RunSequence::bytes() const {
  int64_t total = pages_.bytes() + recurrent_.bytes();
  for (const WindowedKv& one : windows_) total += one.pages().bytes();
  return total;
}

void RunSequence::visit_memory(const std::function<void(const void*, int64_t)>& visit) const {
  const auto pages = [&](const KvSequence& kv) {
    for (const KvEntry& entry : kv.entries()) {
      if (entry.page != nullptr) visit(entry.page, kv.layout().page_bytes());
    }
  };
  pages(pages_);
  for (const WindowedKv& one : windows_) pages(one.pages());
  recurrent_.visit_memory(visit);
}

bool RunSequence::replays_exactly() const {
  return recurrent_.right() &&
         std::none_of(windows_.begin(), windows_.end(), [](const WindowedKv& one) { return one.rebuilding(); });
}

void RunSequence::slim() { recurrent_.slim(kSlimSnapshots); }

bool RunSequence::windows_ready(int replay, int tokens) const {
  return std::all_of(windows_.begin(), windows_.end(),
                     [&](const WindowedKv& one) { return one.ready(tokens - replay, tokens); });
}

// Where a replay begins that makes the windows again. Recurrent state depends on the windows below it, and they on it:
// all tokens pass again.
int RunSequence::first_rebuilt(int tokens) const {
  int reach = 0;
  for (const WindowedKv& one : windows_) reach += one.reach();
  if (!recurrent_.values().empty() || reach >= tokens) return 0;
  return (tokens - reach) / kTileKeys * kTileKeys;
}

int RunSequence::replay_cost(int tokens) const {
  const int replay = recurrent_.replay_cost(tokens);
  return windows_ready(replay, tokens) ? replay : tokens - first_rebuilt(tokens);
}

int RunSequence::truncate(int tokens) {
  spans.truncate(tokens);
  pages_.truncate(tokens);
  for (WindowedKv& one : windows_) one.truncate(tokens);
  const int replay = recurrent_.rewind(tokens);
  if (windows_ready(replay, tokens)) return replay;
  if (!recurrent_.values().empty()) recurrent_.rewind(0);
  const int first = first_rebuilt(tokens);
  for (WindowedKv& one : windows_) one.rebuild(first, tokens);
  return tokens - first;
}

void RunSequence::pin() {
  pages_.pin();
  for (WindowedKv& one : windows_) one.pages().pin();
}

void RunSequence::unpin() {
  pages_.unpin();
  for (WindowedKv& one : windows_) one.pages().unpin();
}

int RunSequence::pieces() const {
  int count = pages_.pieces() + (recurrent_.values().empty() ? 0 : 1);
  for (const WindowedKv& one : windows_) count += one.pages().pieces();
  return count;
}

void RunSequence::read_piece(int piece, std::vector<std::byte>& bytes) const {
  if (piece < pages_.pieces()) return pages_.read_piece(piece, bytes);
  piece -= pages_.pieces();
  for (const WindowedKv& one : windows_) {
    if (piece < one.pages().pieces()) return one.pages().read_piece(piece, bytes);
    piece -= one.pages().pieces();
  }
  const auto values = std::as_bytes(recurrent_.values());
  bytes.assign(values.begin(), values.end());
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

void RunSequence::page_ranges(int from, std::vector<PageRange>& pages) const {
  const auto& entries = pages_.entries();
  for (size_t i = from < 0 || entries.empty() || entries.back().end <= from ? entries.size()
                                                                            : static_cast<size_t>(pages_.find(from));
       i < entries.size(); ++i)
    pages.push_back({entries[i].begin, entries[i].end, spans.index(entries[i].begin)});
}

// With windows a replay of short convolutions would be one of all tokens.
bool RunSequence::saves_recurrent() const { return recurrent_.reach() == kNoReplay || !windows_.empty(); }

StateFormat RunSequence::format(int tokens) const {
  const KvLayout& layout = pages_.layout();
  StateFormat format{.kv_type = kv_type_name(layout.type()),
                     .token_bytes = layout.bytes_per_token(),
                     .page_size = layout.page_size(),
                     .page_bytes = layout.page_bytes()};
  if (saves_recurrent()) format.recurrent_bytes = static_cast<int64_t>(std::as_bytes(recurrent_.values()).size());
  for (const WindowedKv& one : windows_) {
    format.recurrent_bytes += one.saved_bytes(tokens);
    format.page_bytes += one.pages().layout().page_bytes();
  }
  return format;
}

void RunSequence::export_tokens(int begin, int end, std::span<std::byte> bytes) const {
  const auto each = static_cast<size_t>(pages_.layout().bytes_per_token());
  for (int p = begin; p < end; ++p, bytes = bytes.subspan(each)) pages_.copy_out(p, bytes.first(each));
}

void RunSequence::import_tokens(int begin, int end, std::span<const std::byte> bytes) {
  const auto each = static_cast<size_t>(pages_.layout().bytes_per_token());
  reserve(pages_, begin, end);
  for (int p = begin; p < end; ++p, bytes = bytes.subspan(each)) pages_.copy_in(p, bytes.first(each));
}

void RunSequence::export_recurrent(std::span<std::byte> bytes) const {
  const int tokens = pages_.entries().empty() ? 0 : pages_.entries().back().end;
  for (const WindowedKv& one : windows_) {
    const auto count = static_cast<size_t>(one.saved_bytes(tokens));
    one.export_window(tokens, bytes.first(count));
    bytes = bytes.subspan(count);
  }
  const auto values = std::as_bytes(recurrent_.values());
  assert(bytes.size() == values.size());
  std::copy(values.begin(), values.end(), bytes.begin());
}

void RunSequence::import_recurrent(int tokens, std::span<const std::byte> bytes) {
  for (WindowedKv& one : windows_) {
    const auto count = static_cast<size_t>(one.saved_bytes(tokens));
    one.import_window(tokens, bytes.first(count),
                      [&](KvSequence& pages, int begin, int end) { reserve(pages, begin, end); });
    bytes = bytes.subspan(count);
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  recurrent_.restore(tokens, values);
}

// A replay writes no keys and values, except those that are to be rebuilt.
void RunSequence::begin(int first_position, int end, bool replay) {
  if (!replay) reserve(pages_, first_position, end);
  for (WindowedKv& one : windows_) {
    if (!replay || one.rebuilding()) reserve(one.pages(), first_position, end);
  }
  if (measures_) meter_.begin(end, spans);
}

void RunSequence::finish(int first_position, int end) {
  if (measures_) meter_.finish(&influence);
  for (WindowedKv& one : windows_) one.finish(end);
  if (end - first_position > 1 || end % kSnapshotTokens == 0) recurrent_.snapshot(end);
}

void RunSequence::reserve(KvSequence& pages, int begin, int end) {
  for (int p = begin; p < end;) {
    const Spans::Span& span = spans.at(p);
    const int stop = std::min(end, span.end);
    pages.reserve(p, stop, span.begin);
    p = stop;
  }
}

}  // namespace fieldprint
