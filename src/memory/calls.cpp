// The calls by name (calls.def): JSON in, JSON out.
#include <algorithm>

#include "fieldprint/error.h"
#include "fieldprint/memory_calls.h"
#include "memory/memory.h"
#include "memory/params.h"

namespace fieldprint {

namespace memory {
#define CALL(method, function) Json function(Memory& memory, const MemoryCaller& caller, const Params& params);
#include "memory/calls.def"
#undef CALL
}  // namespace memory

namespace {

struct Entry {
  std::string_view method;
  memory::Json (*call)(memory::Memory&, const MemoryCaller&, const memory::Params&);
};
constexpr Entry kCalls[] = {
#define CALL(method, function) {method, memory::function},
#include "memory/calls.def"
#undef CALL
};

class LocalCalls : public MemoryCalls {
 public:
  explicit LocalCalls(const MemoryOptions& options) : memory_(options) {}

  std::string call(const MemoryCaller& caller, std::string_view method, std::string_view text) override {
    const auto* found = std::ranges::find(kCalls, method, &Entry::method);
    if (found == std::end(kCalls)) {
      throw Error(ErrorKind::kUsage, "a memory has no call " + std::string(method.substr(0, 64)));
    }
    const nlohmann::json object = parse_json(text.empty() ? "{}" : text, "parameters", {.unique_names = true});
    return found->call(memory_, caller, memory::Params(method, object))
        .dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  using Json = memory::Json;
  memory::Memory memory_;
};

}  // namespace

std::unique_ptr<MemoryCalls> open_memory(const MemoryOptions& options) { return std::make_unique<LocalCalls>(options); }

std::vector<std::string> memory_methods() {
  std::vector<std::string> methods;
  for (const Entry& entry : kCalls) methods.emplace_back(entry.method);
  return methods;
}

}  // namespace fieldprint
