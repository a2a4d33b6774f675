// A memory beside a model that answers: what it recalls enters the prompt as labelled text, what it holds to as an
// anchor, and what falls meanwhile is taken back. run, chat and serve stand on it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/memory_calls.h"

namespace fieldprint {

// The source of a record's span: "memory:" and its id.
std::string memory_source(std::string_view id);
// The id in such a source; empty for another.
std::string_view memory_id(std::string_view source);

// One thread at a time.
class MemoryContext {
 public:
  // `memory` is not null.
  MemoryContext(std::shared_ptr<MemoryCalls> memory, MemoryCaller caller);

  struct Record {
    std::string id, text, integrity, kind, uri;
    int score = 0;
  };
  // What the question recalls, as messages for the place before it: quoted, each with its id, label and address, spans
  // of kind kRetrieved with memory_source() as their source. A record that was given before, in this conversation, is
  // not given again. Throws as MemoryCalls::call.
  std::vector<Message> recall(std::string_view question, int limit = 4, int tokens = 800);
  const std::vector<Record>& given() const { return given_; }  // all so far, the oldest first

  // Anchors in force, those that may be pinned now, as one text; empty where there are none. `ids`: which.
  struct Anchors {
    std::string text;
    std::vector<std::string> ids;
  };
  Anchors anchors();

  std::vector<Record> anchor_records();  // the same, each by itself

  std::vector<std::string> all_fallen();  // sources of all records that are fallen now
  // Sources of records that have fallen since the last call, or since the beginning. Waits up to wait_ms for one.
  std::vector<std::string> fallen(int wait_ms = 0);

  MemoryCalls& calls() { return *memory_; }
  const MemoryCaller& caller() const { return caller_; }

 private:
  std::shared_ptr<MemoryCalls> memory_;
  MemoryCaller caller_;
  std::vector<Record> given_;
  long long next_ = -1;
};

}  // namespace fieldprint
