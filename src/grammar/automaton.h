// A program made ready to run: what leads nowhere is gone, repetitions cannot go on without reading, and each node
// knows how deep a stack it needs to come to its rule's end.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grammar/program.h"

namespace fieldprint {

// Immutable; any thread.
class Automaton {
 public:
  struct Bytes {
    NodeId to;
    uint8_t low, high;
    Names names;
  };
  struct Call {
    NodeId start;  // of the rule
    NodeId back;   // where it returns to; kAbsent where nothing but the caller's end follows
  };
  struct Node {
    uint32_t bytes, calls, empties;  // where they begin; they end where the next node's begin
    uint32_t loop;                   // kAbsent: no loop
    uint32_t need;                   // calls in each other, at least, on the way to the rule's end
  };
  struct Loop {
    NodeId body;  // the start of a rule that reads at least one byte
    uint32_t min, max;
    NodeId exit;
  };

  // Throws Error kBadInput where no finite text matches, kUnsupported for left recursion, kLimit.
  explicit Automaton(Program program);

  NodeId start() const { return start_; }
  uint32_t max_depth() const { return max_depth_; }
  size_t nodes() const { return ends_.size(); }
  bool is_end(NodeId n) const { return ends_[n]; }
  const Node& node(NodeId n) const { return nodes_[n]; }
  const Loop* loop(NodeId n) const { return nodes_[n].loop == kAbsent ? nullptr : &loops_[nodes_[n].loop]; }
  std::span<const Bytes> bytes(NodeId n) const { return part(bytes_, nodes_[n].bytes, nodes_[n + 1].bytes); }
  std::span<const Call> calls(NodeId n) const { return part(calls_, nodes_[n].calls, nodes_[n + 1].calls); }
  std::span<const NodeId> empties(NodeId n) const { return part(empties_, nodes_[n].empties, nodes_[n + 1].empties); }
  uint32_t largest_bound() const { return largest_bound_; }  // of all loops; 0: no loops
  size_t memory_bytes() const;

 private:
  template <typename T>
  static std::span<const T> part(const std::vector<T>& all, uint32_t begin, uint32_t end) {
    return std::span(all).subspan(begin, end - begin);
  }

  NodeId start_ = 0;
  uint32_t max_depth_ = 0, largest_bound_ = 0;
  std::vector<Node> nodes_;  // and one more, where the last one's edges end
  std::vector<bool> ends_;
  std::vector<Loop> loops_;
  std::vector<Bytes> bytes_;
  std::vector<Call> calls_;
  std::vector<NodeId> empties_;
};

}  // namespace fieldprint
