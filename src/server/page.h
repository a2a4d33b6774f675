// The page that GET / gives: one file, made from web/ and committed as web/dist/index.html, inside the program.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint::server {

std::string_view page();

// What a browser is to allow it: the scripts and styles that stand in the file, by their hashes, and calls to this
// server; nothing else runs, whatever a model writes. Content-Security-Policy Level 3.
std::string page_policy(std::string_view html);

}  // namespace fieldprint::server
