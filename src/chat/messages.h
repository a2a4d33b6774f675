// Messages as JSON values, for the templates' variables and for files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fieldprint/chat.h"

namespace fieldprint {

nlohmann::ordered_json message_list(const std::vector<Message>& messages);
std::string dumped(const nlohmann::ordered_json& value, int indent = -1);  // bytes that are not UTF-8 become U+FFFD

}  // namespace fieldprint
