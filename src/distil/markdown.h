// Pieces of Markdown that hold what a model, a file or a user said, so that none of it can become anything else: no
// heading, no link, no HTML.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint::distil {

// `text` as a code block whose fence is longer than any run of backticks in it. Broken UTF-8 is U+FFFD, control
// characters but newline and tab, and marks that turn the direction of writing, are U+FFFD too.
std::string code_block(std::string_view text);
// One line of words: with every sign that Markdown or HTML knows escaped, line breaks as spaces. For cells of tables,
// too.
std::string plain_text(std::string_view text);
// `text` as code within a line or a table's cell.
std::string code_span(std::string_view text);

}  // namespace fieldprint::distil
