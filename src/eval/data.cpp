#include "eval/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

struct NumberedRow {
  size_t number;  // of its line, or of the row in a list
  Document row;
};

[[noreturn]] void refuse(const std::string& path, const std::string& what, const std::string& hint = {}) {
  throw Error(ErrorKind::kBadInput, what, path, hint);
}

std::string at_line(const std::string& path, size_t line) { return fmt::format("{}:{}", path, line); }

std::string_view text_of(const MappedFile& file) {
  std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

std::vector<std::pair<std::string_view, size_t>> lines_of(std::string_view text) {
  std::vector<std::pair<std::string_view, size_t>> lines;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != line.npos) lines.emplace_back(line, number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<NumberedRow> rows_of_json(const std::string& path, std::string_view text) {
  std::vector<NumberedRow> rows;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != text.npos && text[first] == '[') {
    Document list = parse_ordered_json(text, path);
    for (Document& row : list) rows.push_back({rows.size() + 1, std::move(row)});
  } else {
    for (const auto& [line, number] : lines_of(text))
      rows.push_back({number, parse_ordered_json(line, at_line(path, number))});
  }
  for (const NumberedRow& each : rows)
    if (!each.row.is_object()) refuse(at_line(path, each.number), "the row is no JSON object");
  return rows;
}

// RFC 4180: fields in quotes may hold commas, line ends and doubled quotes.
std::vector<NumberedRow> rows_of_csv(const std::string& path, std::string_view text) {
  std::vector<std::string> names;
  std::vector<NumberedRow> rows;
  size_t at = 0, line = 1;
  while (at < text.size()) {
    std::vector<std::string> fields;
    const size_t begin = line;
    for (bool more = true; more;) {
      std::string& field = fields.emplace_back();
      if (at < text.size() && text[at] == '"') {
        for (++at;; ++at) {
          if (at == text.size()) refuse(at_line(path, begin), "a field in quotes has no end");
          if (text[at] == '"' && (at + 1 == text.size() || text[at + 1] != '"')) break;
          if (text[at] == '"') ++at;
          line += text[at] == '\n';
          field += text[at];
        }
        ++at;
      }
      const size_t end = std::min(text.find_first_of(",\n", at), text.size());
      field.append(text.substr(at, end - at));
      more = end < text.size() && text[end] == ',';
      at = std::min(end + 1, text.size());
      if (!more && field.ends_with('\r')) field.pop_back();
    }
    ++line;
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (names.empty()) {
      names = std::move(fields);
      continue;
    }
    if (fields.size() != names.size())
      refuse(at_line(path, begin), fmt::format("{} fields where the first line names {}", fields.size(), names.size()));
    Document row = Document::object();
    for (size_t i = 0; i < names.size(); ++i)
      if (!names[i].empty()) row[names[i]] = std::move(fields[i]);  // pandas' row numbers have no name
    rows.push_back({begin, std::move(row)});
  }
  return rows;
}

// valid.jsonl has its labels in valid-labels.lst.
void add_labels(const std::string& path, std::vector<NumberedRow>& rows, std::vector<EvalFile>& files) {
  const fs::path labels = fs::path(path).replace_extension("").string() + "-labels.lst";
  if (rows.empty() || rows[0].row.contains("label") || rows[0].row.contains("answer") || !fs::exists(labels)) return;
  const MappedFile file(labels.string());
  const auto lines = lines_of(text_of(file));
  if (lines.size() != rows.size())
    refuse(labels.string(), fmt::format("{} labels for {} rows of {}", lines.size(), rows.size(), path));
  for (size_t i = 0; i < rows.size(); ++i) rows[i].row["label"] = std::string(lines[i].first);
  files.push_back({labels.string(), sha256_hex(file.bytes())});
}

struct Read {
  std::vector<NumberedRow> rows;
  std::vector<EvalFile> files;
};

Read read_rows(const std::string& path) {
  const std::string ending = fs::path(path).extension().string();
  if (ending == ".parquet" || ending == ".arrow") {
    const std::string jsonl = fs::path(path).replace_extension(".jsonl").string();
    const std::string command =
        ending == ".parquet"
            ? fmt::format("import pandas; pandas.read_parquet('{}').to_json('{}', orient='records', lines=True)", path,
                          jsonl)
            : fmt::format("import datasets; datasets.Dataset.from_file('{}').to_json('{}')", path, jsonl);
    throw Error(ErrorKind::kUnsupported, fmt::format("{} files are not read", ending.substr(1)), path,
                fmt::format("this makes JSON lines of it: python3 -c \"{}\"", command));
  }
  const MappedFile file(path);
  const std::string_view text = text_of(file);
  if (!is_utf8(text)) {
    size_t at = 0;
    for (Utf8Char c = utf8_at(text, 0); !c.broken(); c = utf8_at(text, at)) at += c.length;
    refuse(at_line(path,
                   1 + static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n'))),
           "the bytes are not UTF-8");
  }
  Read read;
  read.files.push_back({path, sha256_hex(file.bytes())});
  if (ending == ".csv") read.rows = rows_of_csv(path, text);
  else if (ending == ".jsonl" || ending == ".json") read.rows = rows_of_json(path, text);
  else if (ending == ".txt" || ending == ".raw" || ending == ".md") read.rows.push_back({1, {{"text", text}}});
  else
    refuse(path, fmt::format("a file that ends in '{}' is none that is read", ending),
           "endings are .jsonl, .json, .csv and, of plain texts, .txt, .raw and .md");
  add_labels(path, read.rows, read.files);
  return read;
}

}  // namespace

std::string find_eval_file(const EvalTask& task, EvalPart part, const std::string& folder) {
  const bool shots = part == EvalPart::kShots;
  const std::string& split = shots ? task.data.shots_split : task.data.split;
  std::vector<std::string> names;
  for (const std::string& own : {task.name, task.group}) {
    if (own.empty()) continue;
    if (!shots) names.push_back(own);
    names.push_back(own + "_" + split);
    names.push_back(own + "/" + split);
  }
  std::vector<std::string> files = shots ? task.data.shots_files : task.data.files;
  for (const std::string& name : names)
    for (const char* ending : {".jsonl", ".json", ".csv", ".parquet", ".arrow"}) files.push_back(name + ending);
  for (const std::string& file : files) {
    const fs::path path = fs::path(folder) / file;
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path.string();
  }
  return {};
}

void throw_no_eval_data(const EvalTask& task, EvalPart part, const std::string& folder) {
  const bool shots = part == EvalPart::kShots;
  const std::string& split = shots ? task.data.shots_split : task.data.split;
  if (shots && split.empty())
    throw Error(ErrorKind::kUsage, fmt::format("the task {} has no examples to draw", task.name), "--fewshot");
  const std::string name = shots ? task.name + "_" + split : task.name;
  const size_t space = task.data.dataset.find(' ');
  const std::string dataset = space == std::string::npos ? fmt::format("'{}'", task.data.dataset)
                                                         : fmt::format("'{}', '{}'", task.data.dataset.substr(0, space),
                                                                       task.data.dataset.substr(space + 1));
  throw Error(
      ErrorKind::kNotFound, fmt::format("the {}documents of {} are not there", shots ? "few-shot " : "", task.name),
      (fs::path(folder.empty() ? "." : folder) / (name + ".jsonl")).string(),
      fmt::format("{}; or: python3 -c \"import datasets; datasets.load_dataset({}, split='{}').to_json('{}.jsonl')\"",
                  task.data.source, dataset, split, name));
}

EvalDocuments read_eval_rows(const std::string& path) {
  Read read = read_rows(path);
  EvalDocuments documents{{}, {}, std::move(read.files)};
  for (NumberedRow& each : read.rows) {
    documents.documents.push_back(std::move(each.row));
    documents.rows.push_back(each.number);
  }
  return documents;
}

EvalDocuments read_eval_documents(const EvalTask& task, const std::string& path, EvalPart part) {
  Read read = read_rows(path);
  EvalDocuments documents{{}, {}, std::move(read.files)};
  for (NumberedRow& each : read.rows) {
    try {
      std::optional<Document> document = task.data.document(std::move(each.row));
      if (!document) continue;
      // What is asked is looked at now, so that a faulty row is told with its place and before anything is computed.
      if (task.choices) task.choices(*document);
      if (task.question) task.question(*document);
      if (task.rolling) task.rolling(*document);
      if (task.shot && part == EvalPart::kShots) task.shot(*document);
      documents.documents.push_back(std::move(*document));
      documents.rows.push_back(each.number);
    } catch (const Error& error) {
      throw Error(error.kind(), error.what(), at_line(path, each.number),
                  error.hint().empty() ? fmt::format("is this a file of {} ({})?", task.name, task.data.dataset)
                                       : error.hint());
    }
  }
  if (documents.documents.empty()) refuse(path, fmt::format("has no document of {}", task.name));
  return documents;
}

}  // namespace fieldprint
