// A grammar in the making: rules over bytes. Each rule is a nondeterministic automaton with one start and one end,
// whose edges read a byte, call a rule, or nothing. Counted repetitions are nodes of their own, so that {0,1000000}
// costs no more than {0,2}.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/char_set.h"

namespace fieldprint {

using NodeId = uint32_t;
using RuleId = uint32_t;
inline constexpr uint32_t kAbsent = std::numeric_limits<uint32_t>::max();
inline constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

// Which tokens without text a byte may be a part of, by their names: none; any that is named by such bytes alone; all
// but those that end an answer (free text).
enum class Names : uint8_t { kNone = 0, kLiteral = 1, kFree = 2 };

class Program {
 public:
  struct Edge {
    enum Kind : uint8_t { kEmpty, kBytes, kCall };
    NodeId to;
    uint32_t next;  // of the same node; kAbsent: the last
    RuleId rule;    // kCall
    Kind kind;
    uint8_t low, high;  // kBytes
    Names names;        // kBytes
  };
  // Nodes have edges or are a loop: `body` min to max times, then `exit`.
  struct Loop {
    RuleId body;
    uint32_t min, max;
    NodeId exit;
  };
  struct Node {
    uint32_t edges = kAbsent;
    uint32_t loop = kAbsent;
  };
  struct Rule {
    std::string name;  // for messages; may be empty
    NodeId start, end;
  };

  // These throw Error kLimit when there are too many.
  NodeId node();
  RuleId rule(std::string name = {});
  void empty(NodeId from, NodeId to) { edge(from, {to, kAbsent, kAbsent, Edge::kEmpty, 0, 0, Names::kNone}); }
  void bytes(NodeId from, uint8_t low, uint8_t high, NodeId to, Names names = Names::kNone) {
    edge(from, {to, kAbsent, kAbsent, Edge::kBytes, low, high, names});
  }
  void call(NodeId from, RuleId callee, NodeId to) {
    edge(from, {to, kAbsent, callee, Edge::kCall, 0, 0, Names::kNone});
  }
  void loop(NodeId at, Loop loop);  // `at` is a new node

  // The same, appended at `from`: they return the node behind.
  NodeId literal(NodeId from, std::string_view text, Names names = Names::kNone);
  NodeId chars(NodeId from, const CharSet& set, Names names = Names::kNone);  // one character, as UTF-8
  NodeId call(NodeId from, RuleId callee);
  NodeId repeat(NodeId from, RuleId body, uint32_t min, uint32_t max);

  RuleId add(const Program& other);  // its rules become this one's; returns its root

  RuleId root = 0;
  uint32_t max_depth = 4000;  // of calls in each other; what would be nested more deeply is not let through
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<Loop> loops;
  std::vector<Rule> rules;

 private:
  void edge(NodeId from, Edge edge);
};

}  // namespace fieldprint
