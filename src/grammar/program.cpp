#include "grammar/program.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr size_t kMaxNodes = 1'000'000, kMaxEdges = 2'000'000;

[[noreturn]] void too_large() {
  throw Error(ErrorKind::kLimit, "the grammar is too large", {}, "fewer rules, shorter lists");
}

struct ByteRange {
  uint8_t low, high;
};

// Calls each(ranges, n) for the UTF-8 of first..last: sequences of n byte ranges that together are exactly these
// characters. A range is cut where the length changes, then where a leading byte's continuation is not all of 80..BF.
template <typename Each>
void utf8_ranges(uint32_t first, uint32_t last, Each each) {
  for (const uint32_t border : {0x7Fu, 0x7FFu, 0xFFFFu}) {
    if (first <= border && last > border) {
      utf8_ranges(first, border, each);
      utf8_ranges(border + 1, last, each);
      return;
    }
  }
  for (const uint32_t low : {0x3Fu, 0xFFFu, 0x3FFFFu}) {  // the bits of the last 1, 2, 3 bytes
    if (last <= 0x7F || (first & ~low) == (last & ~low)) continue;
    if ((first & low) != 0) {
      utf8_ranges(first, first | low, each);
      utf8_ranges((first | low) + 1, last, each);
      return;
    }
    if ((last & low) != low) {
      utf8_ranges(first, (last & ~low) - 1, each);
      utf8_ranges(last & ~low, last, each);
      return;
    }
  }
  std::string from, to;
  append_utf8(from, first);
  append_utf8(to, last);
  std::array<ByteRange, 4> ranges{};
  for (size_t i = 0; i < from.size(); ++i) ranges[i] = {static_cast<uint8_t>(from[i]), static_cast<uint8_t>(to[i])};
  each(ranges, from.size());
}

}  // namespace

NodeId Program::node() {
  if (nodes.size() >= kMaxNodes) too_large();
  nodes.emplace_back();
  return static_cast<NodeId>(nodes.size() - 1);
}

RuleId Program::rule(std::string name) {
  const NodeId start = node(), end = node();
  rules.push_back({std::move(name), start, end});
  return static_cast<RuleId>(rules.size() - 1);
}

void Program::edge(NodeId from, Edge edge) {
  if (edges.size() >= kMaxEdges) too_large();
  assert(nodes[from].loop == kAbsent);
  edge.next = nodes[from].edges;
  nodes[from].edges = static_cast<uint32_t>(edges.size());
  edges.push_back(edge);
}

void Program::loop(NodeId at, Loop loop) {
  assert(nodes[at].edges == kAbsent && nodes[at].loop == kAbsent && loop.min <= loop.max);
  nodes[at].loop = static_cast<uint32_t>(loops.size());
  loops.push_back(loop);
}

NodeId Program::literal(NodeId from, std::string_view text, Names names) {
  for (const char c : text) {
    const NodeId to = node();
    bytes(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c), to, names);
    from = to;
  }
  return from;
}

NodeId Program::chars(NodeId from, const CharSet& set, Names names) {
  const NodeId to = node();
  std::array<NodeId, 4> tails{to, kAbsent, kAbsent, kAbsent};  // tails[n]: n bytes 80..BF follow
  const auto tail = [&](size_t length) {
    for (size_t n = 1; n <= length; ++n) {
      if (tails[n] != kAbsent) continue;
      tails[n] = node();
      bytes(tails[n], 0x80, 0xBF, tails[n - 1], names);
    }
    return tails[length];
  };
  for (const auto& [first, last] : set.ranges()) {
    utf8_ranges(first, last, [&](const std::array<ByteRange, 4>& ranges, size_t length) {
      size_t own = length;  // bytes before the tail
      while (own > 1 && ranges[own - 1].low == 0x80 && ranges[own - 1].high == 0xBF) --own;
      NodeId at = from;
      for (size_t i = 0; i < own; ++i) {
        const NodeId next = i + 1 == own ? tail(length - own) : node();
        bytes(at, ranges[i].low, ranges[i].high, next, names);
        at = next;
      }
    });
  }
  return to;
}

NodeId Program::call(NodeId from, RuleId callee) {
  const NodeId to = node();
  call(from, callee, to);
  return to;
}

NodeId Program::repeat(NodeId from, RuleId body, uint32_t min, uint32_t max) {
  assert(min <= max);
  if (max == 0) return from;
  if (max == 1 || (max == kUnbounded && min <= 1)) {
    const NodeId begin = node(), end = node();
    empty(from, begin);
    call(begin, body, end);
    if (min == 0) empty(begin, end);
    if (max == kUnbounded) call(end, body, end);
    const NodeId behind = node();
    empty(end, behind);
    return behind;
  }
  const NodeId at = node(), behind = node();
  empty(from, at);
  loop(at, {body, min, max, behind});
  return behind;
}

RuleId Program::add(const Program& other) {
  const auto node_base = static_cast<NodeId>(nodes.size());
  const auto edge_base = static_cast<uint32_t>(edges.size());
  const auto loop_base = static_cast<uint32_t>(loops.size());
  const auto rule_base = static_cast<RuleId>(rules.size());
  if (nodes.size() + other.nodes.size() > kMaxNodes || edges.size() + other.edges.size() > kMaxEdges) too_large();
  const auto moved = [](uint32_t id, uint32_t base) { return id == kAbsent ? kAbsent : id + base; };
  for (const Node& n : other.nodes) nodes.push_back({moved(n.edges, edge_base), moved(n.loop, loop_base)});
  for (Edge e : other.edges) {
    e.to += node_base;
    e.next = moved(e.next, edge_base);
    e.rule = moved(e.rule, rule_base);
    edges.push_back(e);
  }
  for (const Loop& l : other.loops) loops.push_back({l.body + rule_base, l.min, l.max, l.exit + node_base});
  for (const Rule& r : other.rules) rules.push_back({r.name, r.start + node_base, r.end + node_base});
  max_depth = std::min(max_depth, other.max_depth);
  return other.root + rule_base;
}

}  // namespace fieldprint
