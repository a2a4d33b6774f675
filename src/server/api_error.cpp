#include "server/api_error.h"

#include "server/fields.h"

namespace fieldprint::server {
namespace {

std::string_view openai_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "unavailable_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

std::string error_body(const ApiError& error, bool anthropic) {
  if (anthropic)
    return dump({{"type", "error"}, {"error", {{"type", anthropic_type(error.status)}, {"message", error.what()}}}});
  Json body = {{"message", error.what()}, {"type", openai_type(error.status)}, {"param", nullptr}, {"code", nullptr}};
  if (!error.parameter.empty()) body["param"] = error.parameter;
  if (!error.code.empty()) body["code"] = error.code;
  return dump({{"error", body}});
}

ApiError api_error(const Error& error) {
  std::string message = error.what();
  if (!error.hint().empty()) message += " (" + error.hint() + ")";
  switch (error.kind()) {
    case ErrorKind::kUsage:
    case ErrorKind::kBadInput:
    case ErrorKind::kUnsupported:
    case ErrorKind::kLimit:
      return {400, message};
    case ErrorKind::kNotFound:
      return {404, message};
    case ErrorKind::kBadFile:
    case ErrorKind::kIo:
      return {500, message};
  }
  return {500, message};
}

}  // namespace fieldprint::server
