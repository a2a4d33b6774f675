// Reading what the user hands in.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint::cli {

bool in_is_terminal();
bool in_has_data();  // standard input is a pipe, a socket or a file: somebody hands something in
bool in_is_ready();  // something can be read from it at once
// Standard input is that of the shell script which runs us, as in `while read line; do fieldprint ...; done < list`:
// what is left in it is the script's.
bool in_belongs_to_script();

// Standard input to its end, any bytes. It can be read once: Error kUsage for the second time, and with `hint` where it
// is a terminal, since nothing would happen there. Where nothing comes for a while, a note says what is waited for.
std::string read_input(const std::string& hint);
// Each line of standard input without its newline; `number` counts from 1.
void each_line(const std::string& hint, const std::function<void(const std::string& line, int number)>& call);
// A file, or standard input for "-". Throws Error kNotFound, kIo, kUsage.
std::string read_file(const std::string& path);
// What a person answers to `question` on the terminal: the first letter in lower case, '\n' for none, 0 at the end.
char ask(const std::string& question);

// Decimal numbers between spaces, commas or brackets. Throws Error kBadInput naming `where` and the line.
std::vector<TokenId> parse_ids(std::string_view text, const std::string& where);

// `text` with every byte that is no UTF-8 replaced by U+FFFD; true where there was one.
bool repair_utf8(std::string& text);

}  // namespace fieldprint::cli
