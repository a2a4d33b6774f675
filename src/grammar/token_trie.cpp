#include "grammar/token_trie.h"

#include <algorithm>

namespace fieldprint {

TokenTrie::TokenTrie(std::vector<std::pair<std::string_view, TokenId>> texts) {
  std::erase_if(texts, [](const auto& t) { return t.first.empty() || t.first.size() > UINT16_MAX; });
  std::sort(texts.begin(), texts.end());
  std::vector<uint32_t> path;  // nodes of the text before
  std::string_view before;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
  };
  for (const auto& [text, token] : texts) {
    const auto common = static_cast<size_t>(
        std::mismatch(before.begin(), before.end(), text.begin(), text.end()).first - before.begin());
    close(common);
    for (size_t i = common; i < text.size(); ++i) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back(
          {0, static_cast<uint32_t>(tokens_.size()), static_cast<uint16_t>(i + 1), static_cast<uint8_t>(text[i])});
    }
    tokens_.push_back(token);  // the text's node is the last one: texts that go on come behind it
    before = text;
    longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
  }
  close(0);
  nodes_.push_back({static_cast<uint32_t>(nodes_.size()), static_cast<uint32_t>(tokens_.size()), 0, 0});
}

}  // namespace fieldprint
