// What people see of a memory's records: tables, quotations, the tree of a lineage. Texts and addresses come from
// anybody, so that each is shown as what it is: in one line, or behind a mark that no line of it can leave.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/access.h"

namespace fieldprint::cli {

std::string text_at(const Json& json, const char* name);            // "" where it is missing or no text
int64_t number_at(const Json& json, const char* name);              // 0 where it is missing or no number
std::string short_id(const Json& record, const char* name = "id");  // 12 hex digits: enough to name it

// Rows under headings, columns as wide as they must be; the last is cut where a terminal would break it.
void print_table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows);
// "name   value" lines.
void print_fields(const std::vector<std::pair<std::string, std::string>>& fields);
// Each line of `text` behind "  > ", with no other control characters: no line of it can pass for one of ours.
std::string quoted_lines(std::string_view text, const std::string& indent = "  ");

std::string integrity_of(const Json& record);  // of its label
std::string proof_text(const Json& proof);     // "event 12 of 34 signed"
void print_records(const Json& records);       // as a table
void print_admitted(const Json& result, const char* done);
void print_lineage(const Json& record);

}  // namespace fieldprint::cli
