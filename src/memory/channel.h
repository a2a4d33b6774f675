// Channels: how a text came in. The adapter that a caller came through says which channels it has; the channel, never
// the text, says what kind of record it becomes and how far it is trusted (design: "stamp(channel)"). Pure functions,
// for any thread.
#pragma once

#include <string_view>
#include <vector>

#include "memory/record.h"

namespace fieldprint::memory {

struct Channel {
  std::string_view name;
  RecordKind kind;
  Integrity integrity;  // at most
  bool derived;         // written by a model: it gets the label of what the model has seen
};

// Error kUsage for a channel that there is not, kUnsupported for one that this adapter does not have.
const Channel& channel_of(std::string_view adapter, std::string_view name);

// What a model that writes through this adapter may have read besides what the memory itself showed it.
Integrity context_integrity(std::string_view adapter);

}  // namespace fieldprint::memory
