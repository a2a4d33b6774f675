// Rows that hold a piece of a test set: a student that learned them would be measured by what it has seen.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/utf8.h"
#include "distil/filter.h"
#include "distil/prompts.h"
#include "distil/word_grams.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kNamed = 5;   // of files that were not read
constexpr size_t kParts = 16;  // texts of a document that are put together in pairs

struct Texts {
  WordGrams grams;
  int64_t documents = 0, too_short = 0;
};

void leaves(const Json& value, std::vector<std::string>& texts) {
  if (value.is_string()) texts.push_back(value.get<std::string>());
  else if (value.is_structured())
    for (const auto& part : value) leaves(part, texts);
}

Json parse_or_null(std::string_view text) {
  try {
    return parse_ordered_json(text, "arguments");
  } catch (const Error&) {
    return {};
  }
}

// What a document of a test set says: each of its texts, and where these are short each with each that comes after it,
// as a question is followed by an answer. A blank that a choice fills (Winogrande) is filled with either, and left out.
void add_document(const Json& document, const std::string& source, Texts& into) {
  ++into.documents;
  bool any = false;
  std::vector<std::string> texts, found;
  leaves(document, found);
  for (const std::string& text : found) {
    if (text.size() < 2) continue;  // a label
    const size_t blank = text.find('_');
    if (blank != std::string::npos && document.is_object() && document.contains("option1")) {
      for (const char* name : {"option1", "option2"}) {
        const auto option = document.find(name);
        if (option != document.end() && option->is_string())
          any |= into.grams.add(text.substr(0, blank) + option->get<std::string>() + text.substr(blank + 1), source);
      }
    }
    any |= into.grams.add(text, source);
    if (texts.size() < kParts) texts.push_back(text);
  }
  for (size_t i = 0; i < texts.size(); ++i)
    for (size_t j = i + 1; j < texts.size(); ++j)
      if (WordGrams::short_text(texts[i]) || WordGrams::short_text(texts[j]))
        any |= into.grams.add(texts[i] + ' ' + texts[j], source);
  into.too_short += !any;
}

// Rows are documents of the first line's names; where that is a document itself, it is one, too.
void add_csv(std::string_view bytes, const fs::path& path, Texts& into) {
  const auto rows = read_csv(bytes, path.string());
  for (size_t i = 0; i < rows.size(); ++i) {
    Json document = Json::object();
    for (size_t n = 0; n < rows[i].size(); ++n) {
      const bool named = i > 0 && n < rows[0].size() && !rows[0][n].empty();
      document[named ? rows[0][n] : fmt::format("column {}", n)] = rows[i][n];
    }
    const auto is_long = [](const std::string& cell) { return !WordGrams::short_text(cell); };
    if (i > 0 || std::any_of(rows[0].begin(), rows[0].end(), is_long))
      add_document(document, fmt::format("{} {}", path.filename().string(), i), into);
  }
}

// What tool calls say: all texts of them, those of the arguments one by one, which are JSON within JSON.
void add_calls(const Json& calls, std::string& text) {
  std::vector<std::string> found;
  leaves(calls, found);
  for (const std::string& each : found) {
    const Json inner = each.starts_with('{') || each.starts_with('[') ? parse_or_null(each) : Json();
    std::vector<std::string> parts{each};
    if (inner.is_structured()) parts.clear(), leaves(inner, parts);
    for (const std::string& part : parts) (text += text.empty() ? "" : "\n") += part;
  }
}

void add_file(const fs::path& path, Texts& into) {
  const MappedFile file(path.string());
  std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  const std::string name = path.filename().string();
  const std::string extension = path.extension().string();
  if (extension == ".parquet" || extension == ".arrow")
    throw Error(ErrorKind::kUnsupported, fmt::format("{} files are not read", extension.substr(1)), path.string(),
                "make JSON lines of it: pandas.read_parquet(FILE).to_json(..., orient='records', lines=True)");
  if (!is_utf8(bytes)) throw Error(ErrorKind::kBadInput, "this test set is no text in UTF-8", path.string());
  if (extension == ".csv") return add_csv(bytes, path, into);
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (extension == ".json" && first != std::string_view::npos && bytes[first] == '[') {
    const Json list = parse_ordered_json(bytes, path.string());
    for (size_t i = 0; i < list.size(); ++i) add_document(list[i], fmt::format("{} {}", name, i), into);
    return;
  }
  int64_t number = 0;
  for (size_t at = 0; at < bytes.size(); ++number) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view line = bytes.substr(at, end - at);
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string source = fmt::format("{} {}", name, number);
    if (extension == ".jsonl" || extension == ".json")
      add_document(parse_ordered_json(line, fmt::format("{}:{}", path.string(), number + 1)), source, into);
    else ++into.documents, into.too_short += !into.grams.add(line, source);
  }
}

}  // namespace

Setting filter_contamination(FilterRun& run) {
  if (run.options.eval_data.empty()) return std::nullopt;
  Texts texts;
  std::vector<std::string> names, others;
  for (const std::string& wanted : run.options.eval_data) {
    std::vector<fs::path> files;
    std::error_code error;
    if (fs::is_directory(wanted, error)) {
      for (const auto& entry : fs::recursive_directory_iterator(wanted, error)) {
        const std::string extension = entry.path().extension().string();
        if (entry.is_regular_file() &&
            (extension == ".jsonl" || extension == ".json" || extension == ".txt" || extension == ".csv"))
          files.push_back(entry.path());
        else if (entry.is_regular_file()) others.push_back(entry.path().filename().string());
      }
      if (files.empty())
        throw Error(ErrorKind::kNotFound, "no test sets are in this folder", wanted,
                    "files that end in .jsonl, .json, .csv or .txt are read");
    } else {
      files.emplace_back(wanted);
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) add_file(file, texts), names.push_back(file.filename().string());
  }
  run.each([&](const FilterRow& r) -> std::optional<Reason> {
    const auto found = [&](const char* where, std::string_view text) -> std::optional<Reason> {
      const auto hit = texts.grams.find(text);
      if (!hit) return std::nullopt;
      return Reason{where, fmt::format("{}: \"{}\"", hit->source, beginning(hit->words, 160))};
    };
    std::string prompt = conversation_text(r.row.messages), calls;
    for (const Json& message : parse_ordered_json(r.row.messages, "messages"))
      if (message.is_object() && message.contains("tool_calls")) add_calls(message["tool_calls"], prompt);
    if (!r.row.tool_calls.empty()) add_calls(parse_ordered_json(r.row.tool_calls, "tool_calls"), calls);
    if (auto reason = found("in the prompt", prompt)) return reason;
    if (auto reason = found("in the answer", r.row.content)) return reason;
    if (auto reason = found("in a tool call", calls)) return reason;
    if (auto reason = found("in the trace", r.row.reasoning)) return reason;
    return found("in prompt and answer", prompt + "\n" + r.row.content);
  });
  if (texts.too_short > 0)
    run.notes.push_back(fmt::format("{} of {} documents have fewer than {} words and are not looked for",
                                    texts.too_short, texts.documents, WordGrams::kLeast));
  if (!others.empty()) {
    std::sort(others.begin(), others.end());
    std::string some;
    for (size_t i = 0; i < std::min(others.size(), kNamed); ++i) (some += i == 0 ? "" : ", ") += others[i];
    run.notes.push_back(fmt::format("{} {} not read, only .jsonl, .json, .csv and .txt are: {}{}", others.size(),
                                    others.size() == 1 ? "file was" : "files were", some,
                                    others.size() > kNamed ? ", ..." : ""));
  }
  std::sort(names.begin(), names.end());
  std::string setting = fmt::format("runs of {} words of {} documents of ", WordGrams::kMost, texts.documents);
  for (size_t i = 0; i < names.size(); ++i) setting += (i == 0 ? "" : ", ") + names[i];
  return setting;
}

}  // namespace fieldprint::distil
