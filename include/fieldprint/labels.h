// Labels: who said each part of a context, and who may see it. docs/labels.md shows them at work.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// Who said a part of the context.
enum class SpanKind { kText, kSystem, kUser, kTool, kRetrieved, kGenerated, kAnchor };
std::string_view span_kind_name(SpanKind kind);  // "text" (not labelled), "system", "user" ...; lives for ever

struct SpanLabel {
  SpanKind kind = SpanKind::kText;
  std::string source = {};  // where it comes from: a file, a function, a URL
  int clearance = 0;        // 0 or more; for a session of a lower clearance the span does not exist
  bool operator==(const SpanLabel&) const = default;
};

// A part of a prompt.
struct LabelledTokens {
  SpanLabel label;
  std::vector<TokenId> tokens;
};

// A page of keys and values. It holds positions of one span only.
struct PageRange {
  int begin = 0, end = 0;  // positions [begin, end) of the context
  int span = 0;            // whose they are, counted from 0
};

struct PageInfo {
  int begin = 0, end = 0;  // positions [begin, end) of the context
  SpanLabel label;
  bool pinned = false;  // part of an anchor, never evicted
  bool shared = false;  // held by other sessions too
  std::string hash;     // content hash chain, 64 hex digits (docs/labels.md)
};

}  // namespace fieldprint
