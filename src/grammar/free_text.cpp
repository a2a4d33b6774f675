#include "grammar/free_text.h"

#include <array>
#include <cassert>
#include <deque>
#include <optional>
#include <vector>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr size_t kMaxBytes = 4000;  // of all marks

class MarkSearch {
 public:
  explicit MarkSearch(std::span<const std::string_view> marks) {
    size_t bytes = 0;
    places_.emplace_back();
    for (size_t m = 0; m < marks.size(); ++m) {
      assert(!marks[m].empty());
      if (bytes += marks[m].size(); bytes > kMaxBytes)
        throw Error(ErrorKind::kLimit, "the marks in free text are too long");
      uint32_t at = 0;
      for (const char c : marks[m]) {
        uint32_t& next = places_[at].next[static_cast<uint8_t>(c)];
        if (next == 0) {
          const auto added = static_cast<uint32_t>(places_.size());
          next = added;
          places_.emplace_back();
          at = added;
        } else {
          at = next;
        }
      }
      if (!places_[at].mark) places_[at].mark = m;
    }
    // Breadth first: where no mark goes on, the longest end of what was read that begins one does.
    std::deque<std::pair<uint32_t, uint32_t>> work;  // place, where its end without the first byte leads
    for (const uint32_t next : places_[0].next)
      if (next != 0) work.emplace_back(next, 0);
    while (!work.empty()) {
      const auto [at, shorter] = work.front();
      work.pop_front();
      if (!places_[at].mark) places_[at].mark = places_[shorter].mark;
      for (size_t byte = 0; byte < 256; ++byte) {
        const uint32_t other = places_[shorter].next[byte];
        uint32_t& next = places_[at].next[byte];
        if (next != 0) work.emplace_back(next, other);
        else next = other;
      }
    }
  }

  // Adds a node for each place that is no whole mark; `found` gives the node that a whole mark leads to. Returns that
  // of the beginning.
  template <typename Found>
  std::vector<NodeId> append(Program& program, Found found) const {
    std::vector<NodeId> nodes;
    for (const Place& place : places_) nodes.push_back(place.mark ? found(*place.mark) : program.node());
    for (size_t p = 0; p < places_.size(); ++p) {
      if (places_[p].mark) continue;
      const auto& next = places_[p].next;
      for (unsigned low = 0; low < 256;) {
        unsigned high = low;
        while (high < 255 && next[high + 1] == next[low]) ++high;
        program.bytes(nodes[p], static_cast<uint8_t>(low), static_cast<uint8_t>(high), nodes[next[low]], Names::kFree);
        low = high + 1;
      }
    }
    return nodes;
  }
  bool whole(size_t place) const { return places_[place].mark.has_value(); }

 private:
  struct Place {
    std::array<uint32_t, 256> next{};
    std::optional<size_t> mark;
  };
  std::vector<Place> places_;
};

}  // namespace

NodeId append_until(Program& program, NodeId from, std::string_view mark) {
  const NodeId behind = program.node();
  const auto nodes = MarkSearch({&mark, 1}).append(program, [&](size_t) { return behind; });
  program.empty(from, nodes[0]);
  return behind;
}

NodeId append_with_marks(Program& program, NodeId from, std::span<const std::pair<std::string, RuleId>> marks) {
  const NodeId behind = program.node(), free = program.node();
  std::vector<std::string_view> texts;
  for (const auto& [text, rule] : marks) texts.push_back(text);
  const MarkSearch search(texts);
  const auto nodes = search.append(program, [&](size_t mark) {
    const NodeId at = program.node();
    program.call(at, marks[mark].second, free);
    return at;
  });
  program.empty(from, free);
  program.empty(free, nodes[0]);
  for (size_t p = 0; p < nodes.size(); ++p)
    if (!search.whole(p)) program.empty(nodes[p], behind);
  return behind;
}

}  // namespace fieldprint
