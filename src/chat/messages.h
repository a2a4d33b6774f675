// Messages as JSON, for the templates' variables and for files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat.h"

namespace fieldprint {

// The objects of a list, with `separator` between them. It is text, since the arguments of calls may have integers that
// the JSON library would round. `with_control`: with "control_tokens", for files.
std::string message_list(const std::vector<Message>& messages, std::string_view separator = ",",
                         bool with_control = false);

}  // namespace fieldprint
