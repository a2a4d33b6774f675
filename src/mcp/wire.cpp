#include "mcp/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/json.h"

namespace fieldprint::mcp {
namespace {

constexpr std::pair<ErrorKind, std::string_view> kKinds[] = {{ErrorKind::kUsage, "usage"},
                                                             {ErrorKind::kNotFound, "not_found"},
                                                             {ErrorKind::kBadFile, "bad_file"},
                                                             {ErrorKind::kUnsupported, "refused"},
                                                             {ErrorKind::kBadInput, "bad_input"},
                                                             {ErrorKind::kLimit, "limit"},
                                                             {ErrorKind::kIo, "io"}};

constexpr size_t kMaxHelloBytes = 64 << 10, kMaxNameBytes = 256;

}  // namespace

std::string hello_text(const Hello& hello) {
  return to_text({{"role", hello.role},
                  {"version", kWireVersion},
                  {"principal", hello.caller.principal},
                  {"session", hello.caller.session},
                  {"adapter", hello.caller.adapter}});
}

Hello hello_from(std::string_view text) {
  const Json json = parse_ordered_json(text, "hello", {.max_bytes = kMaxHelloBytes});
  const auto refuse = [](const std::string& what) { throw Error(ErrorKind::kBadInput, "hello: " + what); };
  if (!json.is_object()) refuse("should be an object");
  const auto member = [&](const char* name, const std::string& otherwise) {
    const auto found = json.find(name);
    if (found == json.end()) return otherwise;
    if (!found->is_string() || found->get_ref<const std::string&>().size() > kMaxNameBytes)
      refuse(fmt::format("{} should be a string of at most {} bytes", name, kMaxNameBytes));
    return found->get<std::string>();
  };
  const auto version = json.find("version");
  if (version == json.end() || !version->is_number_integer()) refuse("version should be an integer");
  if (*version != kWireVersion)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("hello: version {} is not spoken here, only {}", to_text(*version), kWireVersion));
  Hello hello{.role = member("role", "")};
  if (hello.role != "mcp" && hello.role != "call") refuse("role should be mcp or call");
  hello.caller.principal = member("principal", hello.caller.principal);
  hello.caller.session = member("session", hello.caller.session);
  hello.caller.adapter = member("adapter", hello.caller.adapter);
  if (hello.caller.principal.empty()) refuse("principal is empty");
  return hello;
}

std::string greeting_text(const Hello& hello) { return to_text({{"role", hello.role}, {"version", kWireVersion}}); }

Json json_from(std::string_view text) {
  try {
    return parse_text(text);
  } catch (const RpcError& error) {
    throw Error(ErrorKind::kBadInput, error.what());
  }
}

Json error_json(const Error& error) {
  const auto found =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const auto& kind) { return kind.first == error.kind(); });
  Json json = {{"kind", found->second}, {"message", error.what()}};
  if (!error.hint().empty()) json["hint"] = error.hint();
  return json;
}

Error error_from(const Json& json) {
  const std::string name = json.value("kind", "");
  const auto found =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const auto& kind) { return kind.second == name; });
  return Error(found == std::end(kKinds) ? ErrorKind::kIo : found->first, json.value("message", "no reason was given"),
               {}, json.value("hint", ""));
}

}  // namespace fieldprint::mcp
