// Whose words each part of a context is, and what the pages that hold it say of it (docs/labels.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// Whose words a part of the context is.
enum class SpanKind { kText, kSystem, kUser, kTool, kRetrieved, kGenerated, kAnchor };
std::string_view span_kind_name(SpanKind kind);  // "text" (nothing was said of it), "system", "user" ...

struct SpanLabel {
  SpanKind kind = SpanKind::kText;
  std::string source = {};  // what tells it apart: a file, a function, a URL
  int clearance = 0;        // sessions of a lower one are as if it did not exist
  bool operator==(const SpanLabel&) const = default;
};

struct LabelledTokens {
  SpanLabel label;
  std::vector<TokenId> tokens;
};

// A page of keys and values. It holds positions of one span only.
struct PageInfo {
  int begin = 0, end = 0;  // positions
  SpanLabel label;
  bool pinned = false, shared = false;  // never evicted; held by other sessions too
  std::string hash;                     // content hash chain, 64 hex digits (docs/labels.md)
};

}  // namespace fieldprint
