// What the run executor keeps of a sequence: pages of keys and values, and the recurrent state.
#pragma once

#include <deque>
#include <vector>

#include "attention/influence.h"
#include "kv/recurrent_state.h"
#include "kv/sequence.h"
#include "kv/windowed_kv.h"
#include "ops/sequence_state.h"

namespace fieldprint {

class RunSequence final : public SequenceState {
 public:
  static constexpr std::string_view kExecutor = "run";

  // `layout` and `pool` are those of the layers without a window.
  RunSequence(const KvLayout& layout, PagePool& pool) : RunSequence(layout, pool, {}) {}
  RunSequence(const KvLayout& layout, PagePool& pool, std::deque<WindowLayers>& windows)
      : RunSequence(layout, pool, windows_of(windows)) {}

  int64_t bytes() const override;
  void visit_memory(const std::function<void(const void* piece, int64_t bytes)>& visit) const override;
  int truncate(int tokens) override;
  int replay_cost(int tokens) const override;
  void mark(int tokens) override { recurrent_.snapshot(tokens); }
  bool replays_exactly() const override;
  void slim() override;
  std::unique_ptr<SequenceState> fork() const override { return std::make_unique<RunSequence>(*this); }
  std::vector<PageInfo> pages(const std::string& fingerprint, std::span<const TokenId> tokens) const override;
  void page_ranges(int from, std::vector<PageRange>& pages) const override;
  void pin() override;
  void unpin() override;
  int pieces() const override;
  void read_piece(int piece, std::vector<std::byte>& bytes) const override;
  StateFormat format(int tokens) const override;
  void export_tokens(int begin, int end, std::span<std::byte> bytes) const override;
  void import_tokens(int begin, int end, std::span<const std::byte> bytes) override;
  void export_recurrent(std::span<std::byte> bytes) const override;
  void import_recurrent(int tokens, std::span<const std::byte> bytes) override;
  void measure_influence(bool on) override { measures_ = on; }

  // ---- For the ops and their executor.

  void begin(int first_position, int end, bool replay);  // a step of these positions
  void finish(int first_position, int end);
  KvSequence& kv(int layer);
  bool rebuilds(int layer) const;  // this layer's keys and values are made again, though the step is a replay
  int first_key(int layer) const;  // of this layer there is none before it
  RecurrentState& recurrent() { return recurrent_; }
  Influence* meter() { return measures_ ? &meter_ : nullptr; }  // of `influence`, where measured

 private:
  RunSequence(const KvLayout& layout, PagePool& pool, std::vector<WindowedKv> windows);
  static std::vector<WindowedKv> windows_of(std::deque<WindowLayers>& layers);
  const WindowedKv* windowed(int layer) const;  // nullptr: the layer has no window
  bool saves_recurrent() const;
  bool windows_ready(int replay, int tokens) const;
  int first_rebuilt(int tokens) const;
  void reserve(KvSequence& pages, int begin, int end);  // for these positions, a new one where a span begins

  KvSequence pages_;
  std::vector<WindowedKv> windows_;
  RecurrentState recurrent_;
  Influence meter_;
  bool measures_ = false;
};

}  // namespace fieldprint
