// Who may speak to a server: keys, and names of hosts.
#pragma once

#include <string>
#include <string_view>

#include "server/http.h"

namespace fieldprint::server {

// The same time for every key that is tried. Hashes are compared, so that their length says nothing either.
bool equal_keys(const std::string& a, const std::string& b);

std::string bearer_token(const HttpRequest& request);  // of Authorization: Bearer TOKEN; "" where there is none

std::string host_name(std::string_view host);  // without a port
bool is_loopback(const std::string& host);     // a name or an address that is this machine's own, as host_name() has it

}  // namespace fieldprint::server
