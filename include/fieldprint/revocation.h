// What was revoked is taken back from the engine: a source of labelled text (labels.h) on which nothing may depend any
// more. docs/labels.md shows it at work.
//
// revoke() of a session or a scheduler may be called from any thread. No step that begins after it returned works on a
// context that holds text of such a source; what was computed while the text was visible is gone: pages, recurrent
// state, cached sequences, their files. The context without it is made anew from the longest beginning that never saw
// it, and has the bits of one that never had it: positions close up (docs/decisions/0005-clearance-closes-up.md).
//
// A context without a source: its spans are left out, and so is what the model wrote (kGenerated) behind the first of
// them, because it had read them. The last span of a prompt stays: with it the caller says how the answer begins.
#pragma once

#include <string>

namespace fieldprint {

inline constexpr int kMaxRollbacks = 3;  // of one answer; the next one ends it with an Error of kind kLimit

// Text that was given out is withdrawn, and an answer begins anew.
struct Rollback {
  std::string source;     // the first one of the context that was revoked; an anchor's whose pages are damaged
  bool damaged = false;   // the latter: the text is as good as before
  int count = 1;          // of this answer, or of a session
  int tokens = 0;         // of the answer that are withdrawn
  size_t text_bytes = 0;  // of its text, which on_text gave
  int from = 0, to = 0;   // positions that there were, and those of them that stand
  int pages = 0;          // with positions from `to` on: they are dropped
};

}  // namespace fieldprint
