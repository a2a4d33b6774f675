#include "grammar/automaton.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <map>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Edge = Program::Edge;

template <typename Each>
void each_edge(const Program& p, NodeId n, Each each) {
  for (uint32_t e = p.nodes[n].edges; e != kAbsent; e = p.edges[e].next) each(p.edges[e]);
}

// Who comes to a node: with the tables below, changes spread from a node to those that depend on it.
class Reverse {
 public:
  struct Way {
    NodeId from;
    uint32_t edge;  // kAbsent: the loop of `from`
  };

  explicit Reverse(const Program& p) : begin_(p.nodes.size() + 2) {
    const auto each = [&](auto use) {
      for (NodeId n = 0; n < p.nodes.size(); ++n) {
        for (uint32_t e = p.nodes[n].edges; e != kAbsent; e = p.edges[e].next) {
          use(p.edges[e].to, Way{n, e});
          if (p.edges[e].kind == Edge::kCall) use(p.rules[p.edges[e].rule].start, Way{n, e});
        }
        if (p.nodes[n].loop == kAbsent) continue;
        const auto& loop = p.loops[p.nodes[n].loop];
        use(loop.exit, Way{n, kAbsent});
        use(p.rules[loop.body].start, Way{n, kAbsent});
      }
    };
    each([&](NodeId to, Way) { ++begin_[to + 2]; });
    for (size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
    ways_.resize(begin_.back());
    each([&](NodeId to, Way way) { ways_[begin_[to + 1]++] = way; });
  }
  std::span<const Way> to(NodeId n) const { return std::span(ways_).subspan(begin_[n], begin_[n + 1] - begin_[n]); }

 private:
  std::vector<uint32_t> begin_;
  std::vector<Way> ways_;
};

// Nodes from which their rule's end is reached without reading.
std::vector<bool> nullable_nodes(const Program& p) {
  const Reverse reverse(p);
  std::vector<bool> nullable(p.nodes.size());
  std::vector<NodeId> work;
  const auto set = [&](NodeId n) {
    if (nullable[n]) return;
    nullable[n] = true;
    work.push_back(n);
  };
  const auto passes = [&](const Reverse::Way& way) {
    if (way.edge == kAbsent) {
      const auto& loop = p.loops[p.nodes[way.from].loop];
      return nullable[loop.exit] && (loop.min == 0 || nullable[p.rules[loop.body].start]);
    }
    const Edge& e = p.edges[way.edge];
    if (e.kind == Edge::kBytes || !nullable[e.to]) return false;
    return e.kind == Edge::kEmpty || nullable[p.rules[e.rule].start];
  };
  for (const auto& rule : p.rules) set(rule.end);
  while (!work.empty()) {
    const NodeId changed = work.back();
    work.pop_back();
    for (const Reverse::Way& way : reverse.to(changed))
      if (!nullable[way.from] && passes(way)) set(way.from);
  }
  return nullable;
}

// A repetition of something that may be empty could go round without reading. Its body becomes a copy that reads at
// least one byte, and its minimum 0, which is the same language.
class NonEmpty {
 public:
  explicit NonEmpty(Program& p) : p_(p), nullable_(nullable_nodes(p)), rules_(static_cast<RuleId>(p.rules.size())) {
    const size_t loops = p.loops.size();
    for (size_t i = 0; i < loops; ++i) p_.loops[i] = reading(p_.loops[i]);
    while (!work_.empty()) {
      const auto [from, to] = work_.back();
      work_.pop_back();
      fill(from, to);
    }
  }

 private:
  bool nullable(RuleId rule) const { return rule < rules_ && nullable_[p_.rules[rule].start]; }  // copies never are

  Program::Loop reading(Program::Loop loop) {
    if (!nullable(loop.body)) return loop;
    return {copy_of(loop.body), 0, loop.max, loop.exit};
  }

  RuleId copy_of(RuleId rule) {
    if (!nullable(rule)) return rule;
    const auto [found, added] = copies_.emplace(rule, kAbsent);
    if (added) {
      found->second = p_.rule(p_.rules[rule].name);
      work_.emplace_back(rule, found->second);
    }
    return found->second;
  }

  // Each node has two copies: nothing read so far, something read. Only the second reaches the end.
  void fill(RuleId from, RuleId to) {
    const auto source = p_.rules[from];
    std::map<NodeId, NodeId> copies[2];
    std::vector<std::pair<NodeId, int>> work;
    const auto copy = [&](NodeId n, int read) {
      const auto [found, added] = copies[read].emplace(n, kAbsent);
      if (added) {
        found->second = n == source.start && read == 0 ? p_.rules[to].start
                        : n == source.end && read == 1 ? p_.rules[to].end
                                                       : p_.node();
        work.emplace_back(n, read);
      }
      return found->second;
    };
    copy(source.start, 0);
    while (!work.empty()) {
      const auto [n, read] = work.back();
      work.pop_back();
      const NodeId at = copies[read].at(n);
      const auto node = p_.nodes[n];
      for (uint32_t i = node.edges; i != kAbsent; i = p_.edges[i].next) {
        const Edge e = p_.edges[i];
        if (e.kind == Edge::kEmpty) {
          p_.empty(at, copy(e.to, read));
        } else if (e.kind == Edge::kBytes) {
          p_.bytes(at, e.low, e.high, copy(e.to, 1), e.names);
        } else if (read == 1) {
          p_.call(at, e.rule, copy(e.to, 1));
        } else {
          p_.call(at, copy_of(e.rule), copy(e.to, 1));
          if (nullable(e.rule)) p_.empty(at, copy(e.to, 0));
        }
      }
      if (node.loop == kAbsent) continue;
      auto loop = reading(p_.loops[node.loop]);
      const NodeId inner = p_.node();
      p_.empty(at, inner);
      if (read == 0 && loop.min == 0) {
        p_.empty(at, copy(loop.exit, 0));
        loop.min = 1;
      }
      loop.exit = copy(loop.exit, 1);
      p_.loop(inner, loop);
    }
  }

  Program& p_;
  std::vector<bool> nullable_;
  RuleId rules_;  // that there were
  std::map<RuleId, RuleId> copies_;
  std::vector<std::pair<RuleId, RuleId>> work_;
};

// For each node the smallest depth of calls on a way to its rule's end; kAbsent where there is none.
std::vector<uint32_t> needs(const Program& p) {
  const Reverse reverse(p);
  std::vector<uint32_t> need(p.nodes.size(), kAbsent);
  std::deque<NodeId> work;
  for (const auto& rule : p.rules) {
    need[rule.end] = 0;
    work.push_back(rule.end);
  }
  const auto through = [&](RuleId rule, NodeId to) {
    const uint32_t inside = need[p.rules[rule].start];
    return inside == kAbsent || need[to] == kAbsent ? kAbsent : std::max(inside + 1, need[to]);
  };
  const auto by = [&](const Reverse::Way& way) {
    if (way.edge == kAbsent) {
      const auto& loop = p.loops[p.nodes[way.from].loop];
      return loop.min == 0 ? need[loop.exit] : through(loop.body, loop.exit);
    }
    const Edge& e = p.edges[way.edge];
    return e.kind == Edge::kCall ? through(e.rule, e.to) : need[e.to];
  };
  while (!work.empty()) {
    const NodeId changed = work.front();
    work.pop_front();
    for (const Reverse::Way& way : reverse.to(changed)) {
      const uint32_t now = by(way);
      if (now >= need[way.from]) continue;
      need[way.from] = now;
      work.push_back(way.from);
    }
  }
  return need;
}

// The rules that `rule` may call before it has read anything. `seen`: of nodes.
std::vector<RuleId> called_first(const Program& p, RuleId rule, const std::vector<uint32_t>& need,
                                 const std::vector<bool>& nullable, std::vector<bool>& seen) {
  std::vector<RuleId> found;
  std::vector<NodeId> work;
  const auto visit = [&](NodeId n) {
    if (need[n] != kAbsent && !seen[n]) seen[n] = true, work.push_back(n);
  };
  const auto call = [&](RuleId callee) {
    if (need[p.rules[callee].start] != kAbsent) found.push_back(callee);
  };
  visit(p.rules[rule].start);
  while (!work.empty()) {
    const NodeId n = work.back();
    work.pop_back();
    each_edge(p, n, [&](const Edge& e) {
      if (e.kind == Edge::kCall) call(e.rule);
      if (e.kind == Edge::kEmpty || (e.kind == Edge::kCall && nullable[p.rules[e.rule].start])) visit(e.to);
    });
    if (p.nodes[n].loop == kAbsent) continue;
    const auto& loop = p.loops[p.nodes[n].loop];
    call(loop.body);
    if (loop.min == 0) visit(loop.exit);
  }
  return found;
}

// Throws where a rule can call itself before it has read anything.
void refuse_left_recursion(const Program& p, const std::vector<uint32_t>& need) {
  const std::vector<bool> nullable = nullable_nodes(p);
  std::vector<bool> seen(p.nodes.size());
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(p.rules.size(), kNew);
  std::vector<std::pair<RuleId, std::vector<RuleId>>> path;
  const auto open = [&](RuleId rule) {
    state[rule] = kOpen;
    path.emplace_back(rule, called_first(p, rule, need, nullable, seen));
  };
  for (RuleId first = 0; first < p.rules.size(); ++first) {
    if (state[first] == kNew) open(first);
    while (!path.empty()) {
      auto& [rule, callees] = path.back();
      if (callees.empty()) {
        state[rule] = kDone;
        path.pop_back();
        continue;
      }
      const RuleId callee = callees.back();
      callees.pop_back();
      if (state[callee] == kNew) {
        open(callee);
      } else if (state[callee] == kOpen) {
        std::string name = p.rules[callee].name;
        for (size_t i = path.size(); name.empty() && i-- > 0;) name = p.rules[path[i].first].name;
        throw Error(ErrorKind::kUnsupported,
                    "the rule '" + name + "' is left-recursive: it can come to itself before it has read anything", {},
                    "write it as a repetition: list ::= item (\",\" item)*");
      }
    }
  }
}

}  // namespace

Automaton::Automaton(Program p) : max_depth_(p.max_depth) {
  (void)NonEmpty(p);
  const std::vector<uint32_t> need = needs(p);
  start_ = p.rules[p.root].start;
  if (need[start_] == kAbsent)
    throw Error(ErrorKind::kBadInput, "no finite text matches the grammar", {},
                "a rule needs an alternative that ends");
  if (need[start_] > max_depth_) throw Error(ErrorKind::kLimit, "the grammar is nested too deeply");
  refuse_left_recursion(p, need);

  // Nodes from which something is read or called before the end: a call that returns to another one needs no place on
  // the stack, so that lists by right recursion stay flat.
  std::vector<bool> does(p.nodes.size());
  {
    const Reverse reverse(p);
    std::vector<NodeId> work;
    const auto set = [&](NodeId n) {
      if (!does[n]) does[n] = true, work.push_back(n);
    };
    for (NodeId n = 0; n < p.nodes.size(); ++n) {
      if (p.nodes[n].loop != kAbsent) set(n);
      each_edge(p, n, [&](const Edge& e) {
        if (e.kind != Edge::kEmpty) set(n);
      });
    }
    while (!work.empty()) {
      const NodeId changed = work.back();
      work.pop_back();
      for (const Reverse::Way& way : reverse.to(changed))
        if (way.edge != kAbsent && p.edges[way.edge].kind == Edge::kEmpty) set(way.from);
    }
  }

  ends_.resize(p.nodes.size());
  for (const auto& rule : p.rules) ends_[rule.end] = true;
  nodes_.reserve(p.nodes.size() + 1);
  const auto begin = [&] {
    nodes_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(calls_.size()),
                      static_cast<uint32_t>(empties_.size()), kAbsent, kAbsent});
  };
  for (NodeId n = 0; n < p.nodes.size(); ++n) {
    begin();
    nodes_.back().need = need[n];
    each_edge(p, n, [&](const Edge& e) {
      if (need[e.to] == kAbsent) return;
      if (e.kind == Edge::kEmpty) {
        empties_.push_back(e.to);
      } else if (e.kind == Edge::kBytes) {
        bytes_.push_back({e.to, e.low, e.high, e.names});
      } else if (const NodeId callee = p.rules[e.rule].start; need[callee] != kAbsent) {
        calls_.push_back({callee, does[e.to] ? e.to : kAbsent});
      }
    });
    if (p.nodes[n].loop == kAbsent) continue;
    const auto& loop = p.loops[p.nodes[n].loop];
    if (need[loop.exit] == kAbsent) continue;
    if (const NodeId body = p.rules[loop.body].start; need[body] != kAbsent) {
      nodes_.back().loop = static_cast<uint32_t>(loops_.size());
      loops_.push_back({body, loop.min, loop.max, loop.exit});
      largest_bound_ = std::max({largest_bound_, loop.min, loop.max == kUnbounded ? 0 : loop.max});
    } else if (loop.min == 0) {
      empties_.push_back(loop.exit);
    }
  }
  begin();
}

size_t Automaton::memory_bytes() const {
  return nodes_.size() * sizeof(Node) + bytes_.size() * sizeof(Bytes) + calls_.size() * sizeof(Call) +
         empties_.size() * sizeof(NodeId) + loops_.size() * sizeof(Loop);
}

}  // namespace fieldprint
