#include "text/special_matcher.h"

#include <algorithm>
#include <numeric>

namespace fieldprint {

SpecialMatcher::SpecialMatcher() : nodes_{{0, 0, 0, kNoToken, 0, 0}} {}

uint32_t SpecialMatcher::child(uint32_t node, uint8_t byte) const {
  const uint64_t* found = edges_.find(node, byte);
  return found == nullptr ? kNoSymbol : static_cast<uint32_t>(*found);
}

void SpecialMatcher::add(std::string_view text, TokenId token) {
  uint32_t node = 0;
  for (size_t i = text.size(); i-- > 0;) {
    const auto byte = static_cast<uint8_t>(text[i]);
    uint32_t next = child(node, byte);
    if (next == kNoSymbol) {
      next = static_cast<uint32_t>(nodes_.size());
      edges_.insert(node, byte, next);
      nodes_.push_back({node, 0, 0, kNoToken, nodes_[node].depth + 1, byte});
      if (node == 0) starts_[byte] = true;
    }
    node = next;
  }
  if (node == 0 || nodes_[node].token != kNoToken) return;
  nodes_[node].token = token;
  nodes_[node].length = static_cast<uint32_t>(text.size());
}

void SpecialMatcher::finish() {
  std::vector<uint32_t> order(nodes_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return nodes_[a].depth < nodes_[b].depth; });
  for (const uint32_t i : order) {
    Node& node = nodes_[i];
    if (node.depth > 1) {
      uint32_t fail = nodes_[node.parent].fail, next = child(fail, node.byte);
      while (next == kNoSymbol && fail != 0) fail = nodes_[fail].fail, next = child(fail, node.byte);
      node.fail = next == kNoSymbol ? 0 : next;
    }
    if (node.token == kNoToken) {
      node.token = nodes_[node.fail].token;
      node.length = nodes_[node.fail].length;
    }
  }
}

std::vector<TextFragment> SpecialMatcher::split(std::string_view text) const {
  std::vector<TextFragment> found;
  find_all(text, 0, text.size(), found);
  return cut(found, text.size());
}

void SpecialMatcher::find_all(std::string_view text, size_t begin, size_t end, std::vector<TextFragment>& found) const {
  uint32_t state = 0;
  for (size_t i = nodes_.size() > 1 ? end : begin; i-- > begin;) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (state == 0 && !starts_[byte]) continue;
    uint32_t next = child(state, byte);
    while (next == kNoSymbol && state != 0) state = nodes_[state].fail, next = child(state, byte);
    state = next == kNoSymbol ? 0 : next;
    if (nodes_[state].length > 0) found.push_back({i, i + nodes_[state].length, nodes_[state].token});
  }
}

std::vector<TextFragment> SpecialMatcher::cut(const std::vector<TextFragment>& found, size_t size) {
  std::vector<TextFragment> fragments;
  size_t done = 0;
  for (auto match = found.rbegin(); match != found.rend(); ++match) {
    if (match->begin < done) continue;
    if (match->begin > done) fragments.push_back({done, match->begin, kNoToken});
    fragments.push_back(*match);
    done = match->end;
  }
  if (done < size) fragments.push_back({done, size, kNoToken});
  return fragments;
}

TokenId SpecialMatcher::find(std::string_view text) const {
  uint32_t node = 0;
  for (size_t i = text.size(); i-- > 0;) {
    node = child(node, static_cast<uint8_t>(text[i]));
    if (node == kNoSymbol) return kNoToken;
  }
  return nodes_[node].length == text.size() && !text.empty() ? nodes_[node].token : kNoToken;
}

}  // namespace fieldprint
