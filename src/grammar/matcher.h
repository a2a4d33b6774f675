// The automaton at work. A state is a set of stacks; a stack is a node on top and below it the nodes to return to, with
// the counts of repetitions. Stacks share what they have in common, and equal sets have one number, so that states are
// small integers and what follows a state and a byte is computed once: a deterministic automaton, made as needed.
//
// The sets are kept in a normal form: one entry for each top, with the set of all that may lie below it. So ambiguity
// that would double the stacks with each byte costs one entry.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/automaton.h"

namespace fieldprint {

using StateId = uint32_t;
inline constexpr StateId kDead = 0;  // no text goes on from here

// One thread at a time. All members throw Error kLimit where the work since begin_work() would take seconds, or the
// sets too much memory.
class Matcher {
 public:
  using Row = std::array<StateId, 256>;

  explicit Matcher(const Automaton& automaton);

  void begin_work() { work_done_ = 0; }
  uint64_t work_done() const { return work_done_; }

  StateId start() const { return start_; }
  const Row& row(StateId state);  // what follows each byte; stays where it is. 1 KiB: for states that come again
  StateId next(StateId state, std::string_view bytes);
  bool may_end(StateId state) const { return !sets_[state].empty() && entries(state).back().top == kEndOfStack; }

  // After a token without text, by its name; `ends`: it ends an answer, so that free text does not name it.
  StateId next_named(StateId state, std::string_view name, bool ends);

  // A state that goes on in the same way for `length` bytes: counts that are too far from their bounds to matter for
  // these are made equal.
  StateId within(StateId state, uint32_t length);

  size_t bytes() const { return bytes_; }  // memory held, roughly

 private:
  struct Entry {
    uint64_t top;   // node and count; kEndOfStack: the stack is empty
    StateId below;  // what lies below: a set, too
    bool operator==(const Entry&) const = default;
  };
  struct Set {
    uint32_t begin = 0, size = 0, depth = 0;
    bool empty() const { return size == 0; }
  };
  static constexpr uint64_t kEndOfStack = ~uint64_t{0};

  std::span<const Entry> entries(StateId s) const { return std::span(entries_).subspan(sets_[s].begin, sets_[s].size); }
  StateId intern(std::span<const Entry> sorted);
  StateId pushed(uint64_t top, StateId below);
  StateId unite(StateId a, StateId b);
  StateId joined(std::vector<Entry>& set);
  StateId closure(std::vector<Entry>& read);  // of the nodes behind edges that were read
  void add(uint64_t top, StateId below);
  void process(uint64_t top, StateId below);
  void count_work(size_t amount);
  template <typename Taken>
  StateId step(StateId state, uint8_t byte, Taken taken);

  const Automaton& automaton_;
  StateId start_ = kDead;
  std::vector<Set> sets_;
  std::vector<Entry> entries_;
  std::vector<StateId> index_;  // of sets, by hash; 0: free
  std::vector<Row*> rows_;      // of each state, or nullptr
  std::deque<Row> row_store_;
  std::vector<std::array<StateId, 3>> united_;  // a, b, both: a cache that forgets
  std::vector<std::array<StateId, 2>> closed_;  // read nodes as a set, their closure: a cache that forgets
  std::vector<Entry> read_;                     // of step()
  std::vector<StateId> within_;                 // of each state, 0: not known yet
  uint32_t within_length_ = 0;
  size_t bytes_ = 0;
  uint64_t work_done_ = 0;  // entries looked at

  // The closure in the making.
  struct Open {
    uint64_t top;
    StateId below;
    bool waiting;
  };
  std::vector<Open> open_;
  std::vector<uint32_t> open_index_;  // by hash, 1 + place in open_; 0: free
  std::vector<uint32_t> open_slots_;  // those of open_index_ that are not free
  std::deque<uint32_t> waiting_;
};

}  // namespace fieldprint
