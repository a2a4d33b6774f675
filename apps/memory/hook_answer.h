// What a hook of an agent says, and what is answered to it. Claude Code and Codex write the same JSON: one object on
// standard input, one on standard output (code.claude.com/docs/en/hooks, developers.openai.com/codex/hooks).
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "memory/access.h"

namespace fieldprint::cli {

struct HookEvent {
  std::string name;               // "UserPromptSubmit"
  std::string session;            // "" where the agent says none
  std::string prompt;             // UserPromptSubmit
  std::string answer;             // Stop: what the model said last
  std::string tool, output, uri;  // PostToolUse
  bool web = false;               // the tool brought a page
};

// `name` stands where the JSON has none. Throws Error kBadInput.
HookEvent parse_hook(const std::string& json, const std::string& name);

// The text after "remember that", "remember:" or "please remember that" at the beginning of a prompt; "" for others.
std::string asked_to_remember(const std::string& prompt);

struct HookAnswer {
  std::string context;  // for the model
  std::string message;  // for the person

  std::string json(const std::string& event) const;  // "" where there is nothing to say
};

// Items of recall as data that no line of can pass for anything else.
std::string quoted_records(const Json& items, const std::string& what);

// Ends the process after `patience` with what late() set last and exit code 0: a hook holds nobody up, whatever it
// waits for. Between finish() and the end it does nothing.
class HookDeadline {
 public:
  explicit HookDeadline(std::chrono::milliseconds patience);
  ~HookDeadline();
  void late(std::string answer);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint::cli
