// The one exception type: for whatever users, files or peers can cause. Functions say in their comments which kinds
// they throw. Beside it only what the standard library throws (std::bad_alloc) and what a caller's own callbacks throw
// passes through. A broken precondition, such as a null model, is an assert and not an Error.
#pragma once

#include <stdexcept>
#include <string>

namespace fieldprint {

enum class ErrorKind {
  kUsage,        // an argument is wrong or missing
  kNotFound,     // a file or a name does not exist
  kBadFile,      // a file is damaged, truncated or hostile
  kUnsupported,  // a well-formed thing this build cannot do
  kBadInput,     // text, JSON or a template that makes no sense
  kLimit,        // more than a stated bound: context, time, memory
  kIo,           // the system refused: disk full, permission, network
};

// A sentence for the user. `where` names the file, tensor or line; `hint` says what to do. Both may be empty.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string what, std::string where = {}, std::string hint = {})
      : std::runtime_error(where.empty() ? what : where + ": " + what), kind_(kind), hint_(std::move(hint)) {}

  ErrorKind kind() const { return kind_; }
  const std::string& hint() const { return hint_; }

 private:
  ErrorKind kind_;
  std::string hint_;
};

}  // namespace fieldprint
