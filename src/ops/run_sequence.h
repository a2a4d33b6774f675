// What the run executor keeps of a sequence: pages of keys and values, and the recurrent state.
#pragma once

#include "attention/influence.h"
#include "kv/recurrent_state.h"
#include "kv/sequence.h"
#include "ops/sequence_state.h"

namespace fieldprint {

class RunSequence final : public SequenceState {
 public:
  static constexpr std::string_view kExecutor = "run";

  RunSequence(const KvLayout& layout, PagePool& pool);

  int64_t bytes() const override { return pages_.bytes() + recurrent_.bytes(); }
  int truncate(int tokens) override;
  std::unique_ptr<SequenceState> fork() const override { return std::make_unique<RunSequence>(*this); }
  std::vector<PageInfo> pages(const std::string& fingerprint, std::span<const TokenId> tokens) const override;
  void pin() override { pages_.pin(); }
  void unpin() override { pages_.unpin(); }
  StateFormat format() const override;
  void export_tokens(int begin, int end, std::span<std::byte> bytes) const override;
  void import_tokens(int begin, int end, std::span<const std::byte> bytes) override;
  void export_recurrent(std::span<std::byte> bytes) const override;
  void import_recurrent(int tokens, std::span<const std::byte> bytes) override;
  void measure_influence() override { measures_ = true; }

  // ---- For the ops and their executor.

  void begin(int first_position, int end, bool replay);  // a step of these positions
  void finish(int first_position, int end);
  KvSequence& kv() { return pages_; }
  RecurrentState& recurrent() { return recurrent_; }
  Influence* meter() { return measures_ ? &meter_ : nullptr; }  // of `influence`, where measured

 private:
  void reserve(int begin, int end);  // pages for these positions, a new one where a span begins

  KvSequence pages_;
  RecurrentState recurrent_;
  Influence meter_;
  bool measures_ = false;
};

}  // namespace fieldprint
