// What an executor keeps of one sequence between steps: keys and values, recurrent state. Whoever has one does not ask
// which executor it is of: what that cannot do throws Error kUnsupported, and says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/labels.h"
#include "kv/spans.h"

namespace fieldprint {

// How a state is written to a session file (docs/formats/session.md), and in which pages it is read back.
struct StateFormat {
  std::string_view kv_type;     // "f16"
  int64_t token_bytes = 0;      // keys and values of one token
  int64_t recurrent_bytes = 0;  // what else the next token needs: the window of layers that have one, and recurrent
                                // state where no short replay rebuilds it
  int page_size = 1;            // tokens, of one span only
  int64_t page_bytes = 0;
};

class SequenceState {
 public:
  virtual ~SequenceState() = default;

  std::string_view executor() const { return executor_; }  // by its name in the table (executors.h)
  virtual int64_t bytes() const = 0;
  // The pieces of memory that these are, by address: forks share some of them.
  virtual void visit_memory(const std::function<void(const void* piece, int64_t bytes)>& visit) const {
    visit(this, bytes());
  }

  // Keeps the first `tokens` tokens. Returns how many of them must pass again (as a replay) before the next ones can:
  // recurrent state is not kept for every position, nor are the keys and values behind a sliding window
  // (kv/windowed_kv.h). The others are as if nothing had come after them.
  virtual int truncate(int tokens) = 0;
  virtual int replay_cost(int tokens) const = 0;  // what truncate() would return
  // Makes going back to here, after `tokens` tokens, as cheap as it can be. None are left to pass again.
  virtual void mark(int tokens) { (void)tokens; }
  // Whether the tokens that are to pass again may pass in one step with those that follow: what is made of the first of
  // them is right already.
  virtual bool replays_exactly() const { return false; }
  // Gives back what only makes going back faster, but for a little of it: for a sequence that is kept for later.
  virtual void slim() {}
  virtual std::unique_ptr<SequenceState> fork() const = 0;  // as this one is now; the two then go their own ways

  // Its pages with their labels and content hashes (kv/page_hash.h); none where an executor has no pages.
  virtual std::vector<PageInfo> pages(const std::string& fingerprint, std::span<const TokenId> tokens) const {
    (void)fingerprint, (void)tokens;
    return {};
  }
  // Where its pages are that hold positions from `from` on, appended to `pages`.
  virtual void page_ranges(int from, std::vector<PageRange>& pages) const { (void)from, (void)pages; }
  // What it holds now stays, whoever looks for memory, until unpin(), which comes before any of it is given back.
  virtual void pin() {}
  virtual void unpin() {}
  // What pin() keeps, in pieces: of each page the keys and values of one layer, page by page, then the recurrent state.
  // Bytes of a page that hold no position are not among them. What is pinned may be read while others step.
  virtual int pieces() const { return 0; }
  virtual void read_piece(int piece, std::vector<std::byte>& bytes) const { (void)piece, bytes.clear(); }

  // ---- Saved sessions, of so many tokens.
  virtual StateFormat format(int tokens) const {
    (void)tokens;
    refuse("cannot save or take up a session");
  }
  // Positions [begin, end): [end - begin, token_bytes]. They are put behind those that are there, under the labels in
  // `spans`.
  virtual void export_tokens(int begin, int end, std::span<std::byte> bytes) const {
    (void)begin, (void)end, (void)bytes;
    refuse("cannot save a session");
  }
  virtual void import_tokens(int begin, int end, std::span<const std::byte> bytes) {
    (void)begin, (void)end, (void)bytes;
    refuse("cannot take up a saved session");
  }
  // The recurrent state after `tokens` tokens, which are all that there are: [recurrent_bytes].
  virtual void export_recurrent(std::span<std::byte> bytes) const {
    (void)bytes;
    refuse("cannot save a session");
  }
  virtual void import_recurrent(int tokens, std::span<const std::byte> bytes) {
    (void)tokens, (void)bytes;
    refuse("cannot take up a saved session");
  }

  // Whether `influence` is filled from the next step on; forks begin as what they were forked from.
  virtual void measure_influence(bool on) {
    if (on) refuse("does not measure influence");
  }

  // Labels of its tokens, positions that are still to come among them; truncate() cuts them too.
  Spans spans;
  // Of the last token of the last step, where measured: the mean over layers and heads of the share of softmax mass of
  // each span, then of the anchor rows in the file.
  std::vector<float> influence;  // [spans + 1]

 protected:
  explicit SequenceState(std::string_view executor) : executor_(executor) {}
  [[noreturn]] void refuse(std::string_view what) const;

 private:
  std::string_view executor_;
};

}  // namespace fieldprint
