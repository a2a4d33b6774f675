// Messages as JSON, for the templates' variables and for files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat.h"

namespace fieldprint {

struct MessageListOptions {
  std::string_view separator = ",";
  std::string_view reasoning = "reasoning_content";  // the key of reasoning; "" leaves it out
  bool control = false;                              // with "control_tokens", for files
};

// The objects of a list. It is text, since the arguments of calls may have integers that the JSON library would round.
std::string message_list(const std::vector<Message>& messages, const MessageListOptions& options);

}  // namespace fieldprint
