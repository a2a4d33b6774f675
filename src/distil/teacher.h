// Who answers: a model in this process or a server. One request at a time for each thread that asks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fieldprint/distil.h"
#include "train/distilled.h"

namespace fieldprint {

struct TeacherRequest {
  std::string messages;  // JSON list, as TeacherRow has it
  std::string tools;     // JSON list; "" = none
  std::string sampling;  // JSON object, as DistilOptions has it
  uint64_t seed = 0;
  int top_k = 0;
};

struct TeacherAnswer {
  std::string reasoning, content;
  bool unclosed = false;
  std::string finish_reason;
  std::string tool_calls;
  std::vector<TokenId> prompt_ids, token_ids;
  int64_t prompt_tokens = 0, completion_tokens = 0;
  TopRecord top;  // k 0: none

  // Why there is no answer; "" = there is one. Each reason is one of kTeacherFailures.
  std::string failure, detail;
  enum class Next {
    kAgain,  // another attempt may help
    kBusy,   // the same, and there were too many requests
    kRow,    // this request is refused for good
    kStop,   // every request will be
  } next = Next::kAgain;
  std::optional<double> retry_after;  // seconds, that the server asked for
  double first_byte = 0;              // seconds until the answer began; 0 = not measured
};

// "refused" (what was asked for makes no sense to the teacher), "busy" (429, 503), "server" (5xx, an error in the
// stream), "unreachable", "timeout", "reset" (before an answer began), "cut" (within it), "malformed" (no JSON, or none
// of an answer), "empty" (nothing in it), "cancelled" (by stop(); never in a row).
inline constexpr std::string_view kTeacherFailures[] = {"refused", "busy", "server",    "unreachable", "timeout",
                                                        "reset",   "cut",  "malformed", "empty",       "cancelled"};

class Teacher {
 public:
  virtual ~Teacher() = default;

  virtual const TeacherRow::Teacher& identity() const = 0;
  virtual int most_requests() const = 0;  // at a time that make sense; 0 = it does not say

  // Blocks; from any number of threads. What goes wrong is in the answer; throws only what is a fault of ours.
  virtual TeacherAnswer ask(const TeacherRequest& request) = 0;
  // Ends what is asked now and from now on, as "cancelled"; from any thread.
  virtual void stop() = 0;
  // Requests that wait in the teacher's queue, of whoever sent them; nullopt where it does not say. May block.
  virtual std::optional<int> waiting() { return std::nullopt; }

  // As the teacher reads it, and how many tokens that is (0: not known); nothing is sent.
  virtual std::string rendered(const TeacherRequest& request) = 0;
  virtual int64_t count_tokens(const TeacherRequest& request) = 0;
};

// Loads the file, or asks the server which model it has, `attempts` times at most. Throws Error kNotFound, kIo, kUsage,
// kBadFile, kUnsupported.
std::unique_ptr<Teacher> make_teacher(const DistilTeacher& options, int attempts = 3);
bool is_url(const std::string& model);

}  // namespace fieldprint
