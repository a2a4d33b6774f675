// What a scheduler's answers have read and said, recorded in a memory's ledger at each commit boundary (boundaries.h),
// and computed again from there. All hashing is done on a thread of its own, never on the scheduler's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/boundaries.h"
#include "fieldprint/memory_calls.h"
#include "fieldprint/model.h"
#include "fieldprint/progress.h"

namespace fieldprint {

// Takes boundaries from the ring and commits each. Any thread.
class MemoryCommits {
 public:
  // `model` is what the scheduler runs. The ring must outlive it.
  MemoryCommits(std::shared_ptr<MemoryCalls> memory, MemoryCaller caller, std::shared_ptr<const Model> model,
                BoundaryRing& ring);
  ~MemoryCommits();  // the scheduler is gone by then, or the ring is abandoned

  // The outbox: returns once boundary `number` of this answer stands in a signed checkpoint, so that what the answer
  // asks for (a tool call) may leave. Throws Error kIo where it could not be committed: then nothing may leave.
  void wait_signed(uint64_t stream, int answer, uint64_t number);

  uint64_t committed() const;  // boundaries so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A session's commits computed again, from an export with payloads (fieldprint memory export --payloads) and the model.
struct Audit {
  int commits = 0;     // of the session
  int64_t tokens = 0;  // computed again
  bool same = false;
  std::string difference;  // "": none; else what parts, and from which position on
};
struct AuditOptions {
  std::string executor = "run";
  std::string kv_type = "f16";  // as in the run that is audited
};
// `session`: one that the export has commits of. Throws Error kNotFound, kBadFile; kBadInput where the model is
// another.
Audit audit_memory(const std::string& directory, const std::string& session, std::shared_ptr<const Model> model,
                   const AuditOptions& options = {}, const Progress& progress = {});
std::vector<std::string> audit_sessions(const std::string& directory);  // those that the export has commits of

}  // namespace fieldprint
