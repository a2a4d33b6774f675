#include "distil/prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <functional>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/utf8.h"
#include "fieldprint/chat.h"
#include "fieldprint/chat_template.h"
#include "fieldprint/json.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kBadInput, what, where, "docs/distil.md lists what a prompt may be");
}

void check_content(const ordered_json& content, const std::string& where) {
  if (content.is_string() || content.is_null()) return;
  if (!content.is_array()) refuse(where, "a message's content should be a text or a list of parts");
  for (const auto& part : content) {
    if (!part.is_object() || !part.contains("type"))
      refuse(where, "a part of a message should be an object with a type");
  }
}

ordered_json canonical_message(const ordered_json& message, const std::string& where) {
  constexpr std::array kRoles{"system", "developer", "user", "assistant", "tool"};
  if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
    refuse(where, "a message should be an object with a role and a content");
  const auto role = message["role"].get<std::string>();
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end())
    refuse(where, fmt::format("the role {} is not known", json_string(role)));
  ordered_json out = {{"role", role}};
  const auto content = message.find("content");
  if (content != message.end()) check_content(*content, where);
  else if (!message.contains("tool_calls")) refuse(where, "a message has no content");
  out["content"] = content != message.end() ? *content : ordered_json();
  for (const auto& [name, value] : message.items()) {
    if (name != "role" && name != "content") out[name] = value;
  }
  return out;
}

ordered_json said(const char* role, const std::string& content) { return {{"role", role}, {"content", content}}; }

// A member that is a text; numbers and booleans as JSON prints them. "" where it is not there.
std::string text_of(const ordered_json& line, const char* name, const std::string& where) {
  const auto found = line.find(name);
  if (found == line.end() || found->is_null()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number() || found->is_boolean()) return found->dump();
  refuse(where, fmt::format("\"{}\" should be a text", name));
}

bool has_word(std::string_view text, std::string_view word) {
  const auto inner = [&](size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
  };
  for (size_t at = 0; (at = text.find(word, at)) != text.npos; ++at)
    if ((at == 0 || !inner(at - 1)) && !inner(at + word.size())) return true;
  return false;
}

class Reader {
 public:
  explicit Reader(const DistilPrompts& from) : from_(from) {
    if (!from.prompt_template.empty()) template_.emplace(from.prompt_template);
    else if (!from.each.empty())
      throw Error(ErrorKind::kUsage, "variables need a template that uses them", {}, "--template 'Explain {{topic}}.'");
    if (!is_utf8(from.system)) throw Error(ErrorKind::kUsage, "the system prompt is not UTF-8");
    for (const auto& [name, values] : from.each) {
      if (!has_word(from.prompt_template, name))
        throw Error(ErrorKind::kUsage, fmt::format("the template does not use the variable '{}'", name), {},
                    "each of its values would be asked the same");
      for (const std::string& value : values)
        if (!is_utf8(value)) throw Error(ErrorKind::kUsage, fmt::format("a value of {} is not UTF-8", name));
    }
    if (!from.tools.empty()) tools_ = tools_from_json(from.tools, "the tools");
  }

  std::vector<Prompt> read() {
    for (const std::string& file : from_.files) read_file(file);
    if (from_.files.empty() && template_) combine(ordered_json::object(), "the template");
    if (prompts_.empty())
      throw Error(ErrorKind::kUsage, "there are no prompts", from_.files.empty() ? "" : from_.files.front(),
                  "name a file of them, as prompts.jsonl or prompts.txt");
    return std::move(prompts_);
  }

 private:
  void read_file(const std::string& path) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    const std::string kind = std::filesystem::path(path).extension().string();
    if (kind == ".csv") return read_table(text, path);
    if (kind == ".json" && trimmed(text).starts_with('[')) return read_list(text, path);
    const bool json = kind == ".jsonl" || kind == ".json" || kind == ".ndjson";
    const std::string_view between = json || from_.separator.empty() ? "\n" : std::string_view(from_.separator);
    size_t number = 1;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(between, at), text.size());
      const std::string_view part = trimmed(text.substr(at, end - at));
      const std::string where = fmt::format("{}:{}", path, number++);
      if (!part.empty()) {
        if (json) read_line(part, where);
        else read_text(part, where);
      }
      at = end + between.size();
    }
  }

  void read_line(std::string_view line, const std::string& where) {
    const ordered_json json = parse_ordered_json(line, where);
    if (!json.is_object()) refuse(where, "a line should be a JSON object");
    combine(json, where);
  }

  void read_list(std::string_view text, const std::string& path) {
    const ordered_json list = parse_ordered_json(text, path);
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string where = fmt::format("{}: item {}", path, i + 1);
      if (!list[i].is_object()) refuse(where, "an item of the list should be a JSON object");
      combine(list[i], where);
    }
  }

  void read_text(std::string_view text, const std::string& where) {
    if (!is_utf8(text)) refuse(where, "the prompt is not UTF-8");
    combine({{"prompt", text}}, where);
  }

  void read_table(std::string_view text, const std::string& path) {
    if (!is_utf8(text)) refuse(path, "the table is not UTF-8");
    const auto rows = read_csv(text, path);
    for (size_t i = 0; !rows.empty() && i < rows[0].size(); ++i) {
      if (std::find(rows[0].begin(), rows[0].begin() + static_cast<std::ptrdiff_t>(i), rows[0][i]) !=
          rows[0].begin() + static_cast<std::ptrdiff_t>(i))
        refuse(path, fmt::format("the head has the column '{}' twice", rows[0][i]));
    }
    for (size_t i = 1; i < rows.size(); ++i) {
      const std::string where = fmt::format("{}: row {}", path, i + 1);
      if (rows[i].size() != rows[0].size())
        refuse(where, fmt::format("{} fields, where the head has {}", rows[i].size(), rows[0].size()));
      ordered_json line = ordered_json::object();
      for (size_t column = 0; column < rows[0].size(); ++column) line[rows[0][column]] = rows[i][column];
      combine(line, where);
    }
  }

  // `line` with every combination of the variables; the last of them changes first.
  void combine(const ordered_json& line, const std::string& where) {
    std::function<void(ordered_json&, size_t)> with = [&](ordered_json& variables, size_t next) {
      if (next == from_.each.size()) return add(variables, where);
      for (const std::string& value : from_.each[next].second) {
        variables[from_.each[next].first] = value;
        with(variables, next + 1);
      }
    };
    ordered_json variables = line;
    with(variables, 0);
  }

  void add(const ordered_json& line, const std::string& where) {
    ordered_json messages = ordered_json::array();
    if (template_) messages.push_back(said("user", rendered(line, where)));
    else messages = messages_of(line, where);

    std::string system = text_of(line, "system", where);
    if (system.empty()) system = from_.system;
    const bool has_system =
        !messages.empty() && (messages[0]["role"] == "system" || messages[0]["role"] == "developer");
    if (!system.empty() && !has_system) messages.insert(messages.begin(), said("system", system));

    Prompt prompt;
    prompt.messages = messages.dump();
    prompt.tools = tools_;
    prompt.id = text_of(line, "id", where);
    if (const auto tools = line.find("tools"); tools != line.end() && !tools->is_null()) {
      if (tools->is_array() && tools->empty()) prompt.tools.clear();
      else prompt.tools = tools_from_json(tools->is_string() ? tools->get<std::string>() : tools->dump(), where);
    }
    prompt.answer = text_of(line, "answer", where);
    prompt.task = text_of(line, "task", where);
    prompts_.push_back(std::move(prompt));
  }

  std::string rendered(const ordered_json& variables, const std::string& where) const {
    try {
      std::string text(trimmed(template_->render(variables.dump(), {.now = {}, .strict = true})));
      if (text.empty()) refuse(where, "the template makes an empty prompt of it");
      return text;
    } catch (const Error& error) {
      std::string members;
      for (const auto& [name, value] : variables.items()) members += (members.empty() ? "" : ", ") + name;
      if (members.empty()) members = "none; --each gives some";
      throw Error(error.kind(), error.what(), where, error.hint().empty() ? "its variables: " + members : error.hint());
    }
  }

  ordered_json messages_of(const ordered_json& line, const std::string& where) const {
    ordered_json out = ordered_json::array();
    const auto list = [&](const ordered_json& messages) {
      for (const auto& message : messages) out.push_back(canonical_message(message, where));
    };
    const auto prompt = line.find("prompt");
    if (const auto messages = line.find("messages"); messages != line.end()) {
      if (!messages->is_array()) refuse(where, "\"messages\" should be a list");
      list(*messages);
    } else if (prompt != line.end() && prompt->is_array()) {
      list(*prompt);
    } else {
      std::string text;
      for (const char* name : {"prompt", "question", "instruction"}) {
        if (text.empty()) text = text_of(line, name, where);
      }
      const std::string input = text_of(line, "input", where);
      if (!text.empty() && !input.empty()) text += "\n\n" + input;
      if (trimmed(text).empty())
        refuse(where, "there is none of \"messages\", \"prompt\", \"question\" and \"instruction\" in it");
      out.push_back(said("user", text));
    }
    if (out.empty()) refuse(where, "there is no message");
    if (out.back()["role"] == "assistant") refuse(where, "the last message is the assistant's: nothing is asked");
    return out;
  }

  const DistilPrompts& from_;
  std::optional<ChatTemplate> template_;
  std::string tools_;
  std::vector<Prompt> prompts_;
};

}  // namespace

std::vector<std::vector<std::string>> read_csv(std::string_view text, const std::string& where) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false, begun = false;  // within quotes; there is something of a row
  const auto end_row = [&] {
    if (!begun) return;
    row.push_back(std::move(field));
    rows.push_back(std::move(row));
    field.clear(), row.clear();
    begun = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"') field += text[++i];
      else quoted = false;
    } else if (c == '"' && field.empty()) {
      quoted = begun = true;
    } else if (c == ',') {
      begun = true;
      row.push_back(std::move(field));
      field.clear();
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r' || (i + 1 < text.size() && text[i + 1] != '\n')) {
      begun = true;
      field += c;
    }
  }
  if (quoted) refuse(where, "a quote does not end");
  end_row();
  return rows;
}

std::vector<Prompt> read_prompts(const DistilPrompts& from) { return Reader(from).read(); }

}  // namespace fieldprint
