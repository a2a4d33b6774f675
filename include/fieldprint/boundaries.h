// Commit boundaries: what a scheduler's answer has read and said up to here, handed to somebody who records it and then
// says what may leave. The scheduler's thread only copies; hashing, signing and writing are the consumer's, on a thread
// of its own.
//
// A boundary comes when an answer ends, when somebody asks for one (Stream::commit: before a tool call leaves), every
// kBoundaryTokens tokens, and where an answer begins anew. They are counted for each answer, from 1 and without a gap;
// Generation::boundary says in which one the text so far will be.
//
// Nothing is dropped. Where the consumer does not keep up, an answer goes on for kUncommittedTokens tokens at most, and
// requests that want boundaries wait to begin; others go on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/labels.h"
#include "fieldprint/revocation.h"

namespace fieldprint {

inline constexpr int kBoundaryTokens = 256;
inline constexpr int kUncommittedTokens = 512;  // beyond a boundary that found no place

enum class BoundaryCause {
  kTurn,          // the answer has ended
  kCall,          // Stream::commit()
  kTokens,        // kBoundaryTokens of the answer since the one before
  kAnchorChange,  // it begins anew, because its anchor was revoked or damaged
  kRollback,      // it begins anew, because another source was
  kEnd,           // cancelled, or ended by an Error
};
const char* boundary_cause_name(BoundaryCause cause);  // "turn", "call", "tokens", "anchors", "rollback", "end"

// Of a stream, the same for all its boundaries from one rollback to the next.
struct BoundaryContext {
  std::string session;            // Request::session
  std::vector<SpanLabel> labels;  // of the spans that PageRange::span counts; the last is the answer's
};

struct Boundary {
  uint64_t stream = 0;  // Stream::id()
  int answer = 0;
  uint64_t number = 0;
  BoundaryCause cause = BoundaryCause::kTurn;
  std::shared_ptr<const BoundaryContext> context;
  // Positions [begin, end) that have been computed since the boundary before, from 0 for the first one. Where the
  // answer begins anew there are none: what earlier boundaries said of positions from `end` on is withdrawn.
  int begin = 0, end = 0;
  std::vector<TokenId> tokens;  // [end - begin]
  TokenId sampled = kNoToken;  // the answer's last token, while it is not among them; kNoToken: it is, or there is none
  std::vector<PageRange> pages;  // those with positions from `begin` on, cut at `end`; none of the reference executor
  // [width] what the output matrix makes the logits of position end - 1 from, that is behind the last norm. The same
  // bits for any threads, batch, chunk, page size and instruction set. Empty where these were not computed.
  std::vector<float> hidden;
  Rollback rollback;  // where it begins anew
};

// From the one thread of a scheduler to one thread of a consumer.
class BoundaryRing {
 public:
  // Throws Error kUsage for less than one place.
  explicit BoundaryRing(int places = 64);
  ~BoundaryRing();
  BoundaryRing(const BoundaryRing&) = delete;
  BoundaryRing& operator=(const BoundaryRing&) = delete;

  // ---- For the consumer. `next` is exchanged with a place of the ring, so that its memory serves again.

  bool take(Boundary& next);      // waits for one; false: the scheduler is gone, and all are taken
  bool try_take(Boundary& next);  // false: there is none now
  // From any thread: nobody will take any more. Answers that want boundaries end with an Error of kind kIo. Who does
  // not say so takes until take() returns false: a scheduler ends after its last boundary has found a place.
  void abandon();

  // ---- For the scheduler.

  Boundary* place();  // to be filled, and then published; nullptr: all are taken
  void publish();
  void close();
  bool abandoned() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
