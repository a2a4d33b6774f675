#include "mcp/mirrored_headers.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/number.h"

namespace fieldprint::mcp {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw RpcError(kHeaderMismatch, "Header mismatch: " + what); }

std::string lower(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return name;
}

// The header has to be there and to say `value`.
void check_text(const server::HttpRequest& http, const std::string& name, const std::string& value, bool encoded) {
  const std::string key = lower(name);
  if (!http.headers.contains(key)) refuse(fmt::format("the header {} is missing", name));
  const std::string given(http.header(key));
  const std::optional<std::string> decoded = encoded ? decoded_header(given) : std::optional(given);
  if (!decoded) refuse(fmt::format("the header {} is no valid base64", name));
  if (*decoded != value) refuse(fmt::format("{} says '{}', the body '{}'", name, *decoded, value));
}

// The parameters of a tool that its schema has mirrored ("x-mcp-header"), in objects within objects too.
void check_parameters(const server::HttpRequest& http, const Json& schema, const Json& arguments) {
  const auto properties = schema.find("properties");
  if (properties == schema.end()) return;
  for (const auto& [name, property] : properties->items()) {
    if (!property.is_object()) continue;
    const auto value = arguments.is_object() ? arguments.find(name) : arguments.end();
    const bool there = arguments.is_object() && value != arguments.end() && !value->is_null();
    if (property.contains("properties")) check_parameters(http, property, there ? *value : Json::object());
    const auto header = property.find("x-mcp-header");
    if (header == property.end() || !header->is_string()) continue;
    const std::string shown = "Mcp-Param-" + header->get<std::string>();
    const std::string key = lower(shown);
    if (!there) {
      if (http.headers.contains(key)) refuse(fmt::format("the header {} is there, the argument is not", shown));
      continue;
    }
    if (value->is_number() && http.headers.contains(key)) {  // 42.0 is 42
      const std::string text = decoded_header(http.header(key)).value_or("");
      char* end = nullptr;
      const double number = strtod_c(text.c_str(), &end);
      if (text.empty() || *end != '\0' || number != value->get<double>())
        refuse(fmt::format("{} says '{}', the body {}", shown, http.header(key), to_text(*value)));
      continue;
    }
    check_text(http, shown, value->is_string() ? value->get<std::string>() : to_text(*value), true);
  }
}

}  // namespace

std::optional<std::string> decoded_header(std::string_view value) {
  constexpr std::string_view kBegin = "=?base64?", kEnd = "?=";
  if (!value.starts_with(kBegin) || !value.ends_with(kEnd) || value.size() < kBegin.size() + kEnd.size())
    return std::string(value);
  value = value.substr(kBegin.size(), value.size() - kBegin.size() - kEnd.size());
  const size_t digits = std::min(value.find('='), value.size());  // the rest is padding
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  if (value.size() % 4 != 0 || value.size() - digits > 2) return std::nullopt;
  if (!std::all_of(value.begin(), value.begin() + static_cast<ptrdiff_t>(digits), is_digit) ||
      value.find_first_not_of('=', digits) != value.npos)
    return std::nullopt;
  std::string bytes(value.size() / 4 * 3, '\0');
  if (!bytes.empty() &&
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size())) < 0)
    return std::nullopt;
  bytes.resize(bytes.size() - (value.size() - digits));
  return bytes;
}

void check_headers(const server::HttpRequest& http, const Message& request, const ToolServer& server) {
  const auto meta = request.params.find("_meta");
  if (meta != request.params.end() && meta->is_object())
    if (const auto version = meta->find(kMetaVersion); version != meta->end() && version->is_string())
      check_text(http, "MCP-Protocol-Version", version->get<std::string>(), false);
  ToolServer::check_meta(request);
  check_text(http, "Mcp-Method", request.method, false);
  const bool named = request.method == "tools/call" || request.method == "prompts/get";
  if (!named && request.method != "resources/read") return;
  const auto name = request.params.find(named ? "name" : "uri");
  if (name == request.params.end() || !name->is_string()) return;  // wrong anyway
  check_text(http, "Mcp-Name", name->get<std::string>(), true);
  if (const Tool* tool = request.method == "tools/call" ? server.find(name->get<std::string>()) : nullptr) {
    const auto arguments = request.params.find("arguments");
    check_parameters(http, tool->input_schema, arguments == request.params.end() ? Json::object() : *arguments);
  }
}

}  // namespace fieldprint::mcp
