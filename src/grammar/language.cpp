#include "grammar/language.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Kind = Expression::Kind;
constexpr size_t kMaxStates = 30'000, kMaxWork = 20'000'000;

[[noreturn]] void too_large() {
  throw Error(ErrorKind::kLimit, "a pattern together with lengths or other patterns is too large", {},
              "shorter repetitions, or one of the constraints alone");
}

// Thompson's construction.
struct Nondeterministic {
  struct Edge {
    uint32_t to;
    int32_t chars;  // index of a set; -1: reads nothing
  };
  std::vector<std::vector<Edge>> nodes;
  std::vector<const CharSet*> sets;
  std::vector<CharSet> own;

  uint32_t node() {
    if (nodes.size() >= kMaxStates) too_large();
    nodes.emplace_back();
    return static_cast<uint32_t>(nodes.size() - 1);
  }
  void empty(uint32_t from, uint32_t to) { nodes[from].push_back({to, -1}); }
  uint32_t chars(uint32_t from, CharSet set) {
    const uint32_t to = node();
    nodes[from].push_back({to, static_cast<int32_t>(own.size())});
    own.push_back(std::move(set));
    return to;
  }

  uint32_t append(uint32_t from, const Expression& e) {
    switch (e.kind) {
      case Kind::kSequence:
        for (const Expression& part : e.parts) from = append(from, part);
        return from;
      case Kind::kChoice: {
        const uint32_t end = node();
        for (const Expression& part : e.parts) {
          const uint32_t begin = node();
          empty(from, begin);
          empty(append(begin, part), end);
        }
        return end;
      }
      case Kind::kLiteral:
        for (size_t at = 0; at < e.text.size();) {
          const Utf8Char c = utf8_at(e.text, at);
          from = chars(from, {{c.code, c.code}});
          at += c.length;
        }
        return from;
      case Kind::kChars:
        return chars(from, e.chars);
      case Kind::kRepeat: {
        const Expression& part = e.parts[0];
        for (uint32_t i = 0; i < e.min; ++i) {
          const size_t before = nodes.size();
          from = append(from, part);
          if (nodes.size() == before) break;  // the part is empty
        }
        const uint32_t end = node();
        empty(from, end);
        if (e.max == kUnbounded) {
          const uint32_t at = node();
          empty(from, at);
          empty(append(at, part), at);
          empty(at, end);
          return end;
        }
        for (uint32_t i = e.min; i < e.max; ++i) {
          const uint32_t begin = node();
          empty(from, begin);
          from = append(begin, part);
          empty(from, end);
        }
        return end;
      }
      default:
        return from;
    }
  }
};

}  // namespace

Language Language::of(const Expression& e) {
  Nondeterministic n;
  const uint32_t start = n.node();
  const uint32_t end = n.append(start, e);
  const auto closed = [&](std::set<uint32_t> nodes) {
    std::vector<uint32_t> work(nodes.begin(), nodes.end());
    while (!work.empty()) {
      const uint32_t node = work.back();
      work.pop_back();
      for (const auto& edge : n.nodes[node])
        if (edge.chars < 0 && nodes.insert(edge.to).second) work.push_back(edge.to);
    }
    return nodes;
  };
  Language result;
  std::map<std::set<uint32_t>, uint32_t> numbers;
  std::vector<const std::set<uint32_t>*> order;
  const auto number = [&](std::set<uint32_t> nodes) {
    const auto [found, added] = numbers.emplace(std::move(nodes), static_cast<uint32_t>(numbers.size()));
    if (added) {
      if (numbers.size() > kMaxStates) too_large();
      order.push_back(&found->first);
      result.states_.push_back({{}, found->first.contains(end)});
    }
    return found->second;
  };
  number(closed({start}));
  size_t work = 0;
  for (size_t s = 0; s < order.size(); ++s) {
    // The characters cut at every border of a range, and for each part where it leads.
    std::map<uint32_t, std::vector<uint32_t>> opened, closed_at;
    std::set<uint32_t> borders;
    for (const uint32_t node : *order[s]) {
      for (const auto& edge : n.nodes[node]) {
        if (edge.chars < 0) continue;
        for (const auto& [first, last] : n.own[static_cast<size_t>(edge.chars)].ranges()) {
          opened[first].push_back(edge.to);
          closed_at[last + 1].push_back(edge.to);
          borders.insert({first, last + 1});
          if (++work > kMaxWork) too_large();
        }
      }
    }
    std::multiset<uint32_t> now;
    for (auto border = borders.begin(); border != borders.end(); ++border) {
      for (const uint32_t to : closed_at[*border]) now.erase(now.find(to));
      for (const uint32_t to : opened[*border]) now.insert(to);
      if (now.empty()) continue;
      if ((work += now.size()) > kMaxWork) too_large();
      const uint32_t to = number(closed(std::set<uint32_t>(now.begin(), now.end())));
      auto& moves = result.states_[s].moves;
      const uint32_t last = *std::next(border) - 1;
      if (!moves.empty() && moves.back().to == to && moves.back().last + 1 == *border) moves.back().last = last;
      else moves.push_back({*border, last, to});
    }
  }
  return result;
}

Language Language::of(std::span<const std::string> words) {
  std::vector<Expression> choices;
  for (const std::string& word : words) choices.push_back(Expression::literal(word));
  return of(Expression::choice(std::move(choices)));
}

Language Language::of_lengths(uint32_t min, uint32_t max) {
  const uint32_t states = max == kUnbounded ? min + 1 : max + 1;
  if (states > kMaxStates) too_large();
  Language result;
  for (uint32_t s = 0; s < states; ++s) {
    State& state = result.states_.emplace_back();
    state.accepts = s >= min;
    if (s + 1 < states || max == kUnbounded) state.moves.push_back({0, kLastChar, std::min(s + 1, states - 1)});
  }
  return result;
}

Language Language::of_multiples(uint32_t divisor) {
  Language result;  // the start, then one state for each remainder
  for (uint32_t s = 0; s <= divisor; ++s) {
    State& state = result.states_.emplace_back();
    const uint32_t remainder = s == 0 ? 0 : s - 1;
    state.accepts = s == 1;
    if (s == 0) state.moves.push_back({'-', '-', 0});
    for (uint32_t digit = 0; digit < 10; ++digit)
      state.moves.push_back({'0' + digit, '0' + digit, 1 + (remainder * 10 + digit) % divisor});
  }
  return result;
}

Language Language::product(const Language& other, bool inside) const {
  constexpr uint32_t kOut = kAbsent;  // `other` is left for good
  Language result;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> numbers;
  std::vector<std::pair<uint32_t, uint32_t>> order;
  const auto number = [&](uint32_t a, uint32_t b) {
    const auto [found, added] = numbers.emplace(std::pair(a, b), static_cast<uint32_t>(numbers.size()));
    if (added) {
      if (numbers.size() > kMaxStates) too_large();
      order.emplace_back(a, b);
      const bool there = b != kOut && other.states_[b].accepts;
      result.states_.push_back({{}, states_[a].accepts && there == inside});
    }
    return found->second;
  };
  number(0, 0);
  for (size_t s = 0; s < order.size(); ++s) {
    const auto [a, b] = order[s];
    std::vector<Move> moves;
    for (const Move& move : states_[a].moves) {
      uint32_t at = move.first;  // what of the move is not yet dealt with
      const auto outside = [&](uint32_t last) {
        if (!inside && at <= last) moves.push_back({at, last, number(move.to, kOut)});
      };
      if (b != kOut) {
        for (const Move& theirs : other.states_[b].moves) {
          if (theirs.last < at || theirs.first > move.last) continue;
          if (theirs.first > at) outside(theirs.first - 1);
          const uint32_t first = std::max(at, theirs.first), last = std::min(move.last, theirs.last);
          moves.push_back({first, last, number(move.to, theirs.to)});
          at = last + 1;
          if (at > move.last) break;
        }
      }
      if (at <= move.last) outside(move.last);
    }
    result.states_[s].moves = std::move(moves);
  }
  return result;
}

bool Language::empty() const {  // states are numbered as they are reached
  return std::none_of(states_.begin(), states_.end(), [](const State& s) { return s.accepts; });
}

bool Language::contains(std::string_view text) const {
  uint32_t state = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (c.broken()) return false;
    at += c.length;
    const auto& moves = states_[state].moves;
    const auto move =
        std::find_if(moves.begin(), moves.end(), [&](const Move& m) { return m.first <= c.code && c.code <= m.last; });
    if (move == moves.end()) return false;
    state = move->to;
  }
  return states_[state].accepts;
}

NodeId Language::append(Program& program, NodeId from, const WriteChars& write) const {
  std::vector<NodeId> nodes;
  for (size_t s = 0; s < states_.size(); ++s) nodes.push_back(program.node());
  const NodeId end = program.node();
  program.empty(from, nodes[0]);
  for (size_t s = 0; s < states_.size(); ++s) {
    if (states_[s].accepts) program.empty(nodes[s], end);
    std::map<uint32_t, CharSet> by_target;
    for (const Move& move : states_[s].moves) by_target[move.to].add(move.first, move.last);
    for (const auto& [to, chars] : by_target) {
      const NodeId behind = write ? write(program, nodes[s], chars) : program.chars(nodes[s], chars);
      program.empty(behind, nodes[to]);
    }
  }
  return end;
}

}  // namespace fieldprint
