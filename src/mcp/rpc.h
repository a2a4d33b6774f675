// JSON-RPC 2.0 as the Model Context Protocol uses it: what a message is, and how errors are told.
// https://modelcontextprotocol.io/specification/2026-07-28/basic, https://www.jsonrpc.org/specification
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldprint::mcp {

using Json = nlohmann::ordered_json;

inline constexpr size_t kMaxMessageBytes = 4 << 20;

enum RpcCode : int {
  kParseError = -32700,
  kInvalidRequest = -32600,
  kMethodNotFound = -32601,
  kInvalidParams = -32602,
  kInternalError = -32603,
  // Of 2026-07-28:
  kHeaderMismatch = -32020,
  kMissingClientCapability = -32021,
  kUnsupportedVersion = -32022,
};

// Becomes the error that a request is answered with. `data` null: none.
struct RpcError : std::runtime_error {
  RpcError(int error_code, const std::string& message, Json error_data = nullptr)
      : std::runtime_error(message), code(error_code), data(std::move(error_data)) {}
  int code;
  Json data;
};

struct Message {
  enum class Kind { kRequest, kNotification, kResponse };
  Kind kind = Kind::kRequest;
  Json id;             // of a request: a string or an integer; else null
  std::string method;  // "" for a response
  Json params;         // an object, empty where there is none
};

// The JSON of one message or batch. Throws RpcError kParseError: no JSON, no UTF-8, nested too deeply, above
// kMaxMessageBytes.
Json parse_text(std::string_view text);

// Throws RpcError kInvalidRequest for JSON that is no message.
Message message_from(const Json& json);

// The id to answer with where a message may be malformed: null where it has none that is fit to be repeated.
Json id_of(const Json& json);

// Whether it is to be a notification, which is never answered, however wrong the rest of it may be.
bool is_notification(const Json& json);

// Null ids are left out: the protocol knows no others than strings and integers.
Json result_reply(const Json& id, Json result);
Json error_reply(const Json& id, const RpcError& error);
Json notification(std::string_view method, Json params);

// One line of UTF-8; bytes in strings that are none become U+FFFD.
std::string to_text(const Json& json);

}  // namespace fieldprint::mcp
