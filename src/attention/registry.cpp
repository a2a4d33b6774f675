#include <algorithm>

#include "attention/kind.h"

namespace fieldprint {

#define ATTENTION_KIND(name) AttentionKind name();
#include "attention/kinds.def"
#undef ATTENTION_KIND

std::span<const AttentionKind> attention_kinds() {
  static const AttentionKind kinds[] = {
#define ATTENTION_KIND(name) name(),
#include "attention/kinds.def"
#undef ATTENTION_KIND
  };
  return kinds;
}

const AttentionKind* find_attention_kind(std::string_view name) {
  const auto kinds = attention_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind.name == name; });
  return found == kinds.end() ? nullptr : &*found;
}

const AttentionKind& dot_kind() { return attention_kinds().front(); }

}  // namespace fieldprint
