// What a client is told went wrong.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/error.h"

namespace fieldprint::server {

struct ApiError : std::runtime_error {
  // `parameter`: the field that is to blame, as "messages[0].content"; "" = none.
  ApiError(int http_status, const std::string& message, std::string field = {}, std::string error_code = {})
      : std::runtime_error(message), status(http_status), parameter(std::move(field)), code(std::move(error_code)) {}

  int status;
  std::string parameter;
  std::string code;  // for programs: "context_length_exceeded"; "" = none
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// {"error": {"message", "type", "param", "code"}}, as the OpenAI API has it, or Anthropic's {"type": "error", ...}.
std::string error_body(const ApiError& error, bool anthropic = false);

// What is thrown inside the engine, for the client: bad input 400, what does not exist 404, a full queue 503 ...
ApiError api_error(const Error& error);

}  // namespace fieldprint::server
