#include "memory/channel.h"

#include <algorithm>
#include <string>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

struct Adapter {
  std::string_view name, channels;
  Integrity context;
};

#define ADAPTER(name, channels, context)
#define CHANNEL(name, kind, integrity, derived) {name, RecordKind::kind, Integrity::integrity, derived},
constexpr Channel kChannels[] = {
#include "memory/channels.def"
};
#undef ADAPTER
#undef CHANNEL
#define CHANNEL(name, kind, integrity, derived)
#define ADAPTER(name, channels, context) {name, channels, Integrity::context},
constexpr Adapter kAdapters[] = {
#include "memory/channels.def"
};
#undef ADAPTER
#undef CHANNEL

// "mcp:claude" is the adapter "mcp".
const Adapter& adapter_of(std::string_view name) {
  const std::string_view stem = name.substr(0, name.find(':'));
  const auto* found = std::ranges::find(kAdapters, stem, &Adapter::name);
  if (found == std::end(kAdapters)) throw Error(ErrorKind::kUsage, "there is no adapter " + std::string(name));
  return *found;
}

bool has(std::string_view list, std::string_view name) {
  const std::string padded = " " + std::string(list) + " ";
  return padded.find(" " + std::string(name) + " ") != std::string::npos;
}

}  // namespace

const Channel& channel_of(std::string_view adapter, std::string_view name) {
  const auto* found = std::ranges::find(kChannels, name, &Channel::name);
  if (found == std::end(kChannels)) {
    throw Error(ErrorKind::kUsage, "there is no channel " + std::string(name), {}, "user, web, tool, model or event");
  }
  const Adapter& a = adapter_of(adapter);
  if (!has(a.channels, name)) {
    throw Error(ErrorKind::kUnsupported, "what comes through " + std::string(a.name) + " cannot be stamped as " +
                                             std::string(name) + " (the channel stamps, never the content)");
  }
  return *found;
}

Integrity context_integrity(std::string_view adapter) { return adapter_of(adapter).context; }

}  // namespace fieldprint::memory
