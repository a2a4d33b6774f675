#include "memory/present.h"

#include <fmt/format.h>

#include <algorithm>

#include "output.h"

namespace fieldprint::cli {

namespace {

// Columns that a text takes, near enough for a table: its characters.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string cut(const std::string& text, size_t columns) {
  if (width_of(text) <= columns || columns == 0) return text;
  size_t end = 0;
  for (size_t seen = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xc0) != 0x80 && ++seen == columns) break;
  }
  return text.substr(0, end) + "…";
}

// One record of a lineage in a line, and its text below.
std::string record_line(const Json& record) {
  std::string line = fmt::format("{}  {} {}  label {}", short_id(record), text_at(record, "kind"),
                                 text_at(record, "status"), integrity_of(record));
  if (const std::string adapter = text_at(record, "adapter"); !adapter.empty()) line += "  by " + adapter;
  if (const std::string uri = text_at(record, "uri"); !uri.empty()) line += "  from " + uri;
  return line;
}

void print_branch(const Json& record, const std::string& first, const std::string& rest) {
  if (record.is_string()) {  // deeper than the call goes
    write_out(first + short_id(Json{{"id", record}}) + "  ...\n");
    return;
  }
  const bool again = record.contains("again");
  write_out(first + printable_line(record_line(record)) + (again ? "  (as above)\n" : "\n"));
  if (again) return;
  const Json parents = record.value("lineage", Json::array());
  const std::string below = rest + (parents.empty() ? "    " : "│   ");
  if (record.contains("text") && record["text"].is_string()) {
    write_out(below + "> " + cut(printable_line(text_at(record, "text")), 100) + "\n");
  } else {
    write_out(below + "(no text: " + printable_line(text_at(record, "why_no_text")) + ")\n");
  }
  for (size_t i = 0; i < parents.size(); ++i) {
    const bool last = i + 1 == parents.size();
    print_branch(parents[i], rest + (last ? "└── " : "├── "), rest + (last ? "    " : "│   "));
  }
}

}  // namespace

std::string text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

int64_t number_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() || !found->is_number_integer() ? 0 : found->get<int64_t>();
}

std::string short_id(const Json& record, const char* name) { return text_at(record, name).substr(0, 12); }

void print_table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const std::string& heading : headings) widths.push_back(heading.size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  size_t before = 0;
  for (size_t i = 0; i + 1 < widths.size(); ++i) before += widths[i] + 2;
  const auto columns = static_cast<size_t>(terminal_width());
  const size_t room = out_is_terminal() && columns > before + 8 ? columns - before - 1 : 0;
  const auto line = [&](const std::vector<std::string>& row) {
    std::string text;
    for (size_t i = 0; i + 1 < row.size(); ++i) text += row[i] + std::string(widths[i] - width_of(row[i]) + 2, ' ');
    return text + cut(row.back(), room) + "\n";
  };
  write_out(line(headings), Style::kBold);
  for (const auto& row : rows) write_out(line(row));
}

void print_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, name.size());
  for (const auto& [name, value] : fields) write_out(fmt::format("{:<{}}  {}\n", name, width, printable_line(value)));
}

std::string quoted_lines(std::string_view whole, const std::string& indent) {
  std::string all(whole), quoted;
  for (const std::string_view end : {"\r\n", "\u2028", "\u2029", "\u0085"}) {  // line ends to some readers
    for (size_t at = 0; (at = all.find(end, at)) != std::string::npos;) all.replace(at, end.size(), "\n");
  }
  std::string_view text = all;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    quoted += indent + "> " + printable_line(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return quoted;
}

std::string integrity_of(const Json& record) {
  const auto label = record.find("label");
  return label == record.end() || !label->is_object() ? std::string() : text_at(*label, "integrity");
}

std::string proof_text(const Json& proof) {
  const int64_t index = number_at(proof, "index"), size = number_at(proof, "size");
  return index < size ? fmt::format("event {} of {} signed", index, size)
                      : fmt::format("event {}, not signed yet", index);
}

void print_records(const Json& records) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& record : records) {
    rows.push_back({short_id(record), text_at(record, "kind"), text_at(record, "status"), integrity_of(record),
                    text_at(record, "created"),
                    record["text"].is_string() ? printable_line(text_at(record, "text"))
                                               : std::string(record.contains("erased") ? "(erased)" : "(no text)")});
  }
  print_table({"ID", "KIND", "STATUS", "LABEL", "CREATED", "TEXT"}, rows);
}

void print_admitted(const Json& result, const char* done) {
  const bool known = result.value("duplicate", false);
  std::string line = fmt::format("{} {}  {} {}  label {}", known ? "known already:" : done, short_id(result),
                                 text_at(result, "kind"), text_at(result, "status"), integrity_of(result));
  if (const std::string rule = text_at(result, "rule"); !rule.empty()) line += "  (rule " + rule + ")";
  write_out(printable_line(line) + "\n");
}

void print_lineage(const Json& record) { print_branch(record, "", ""); }

}  // namespace fieldprint::cli
