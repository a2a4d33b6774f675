// Finds and reads the documents of a task: files as their authors publish them, and what `datasets` and pandas export
// (JSON lines, a JSON list, CSV). Nothing is downloaded.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/document.h"
#include "eval/task.h"

namespace fieldprint {

// What of a task's documents is wanted.
enum class EvalPart { kScored, kShots };

struct EvalFile {
  std::string path;
  std::string sha256;  // of its bytes
};

struct EvalDocuments {
  std::vector<Document> documents;
  std::vector<size_t> rows;     // each one's line in the first of the files, or its place in a list, from 1
  std::vector<EvalFile> files;  // that they are from; labels may have a file of their own
};

// The file of a task in a folder, by the names that EvalData lists; "" where there is none.
std::string find_eval_file(const EvalTask& task, EvalPart part, const std::string& folder);

// What to do where find_eval_file() finds nothing: an Error kNotFound that names the file and says where it comes from.
[[noreturn]] void throw_no_eval_data(const EvalTask& task, EvalPart part, const std::string& folder);

// Rows of a file of any of the forms above, by its ending, each as a JSON object; beside FILE.jsonl may lie
// FILE-labels.lst, whose lines become "label". A plain text (.txt, .raw, .md) is one row, {"text": ...}. Throws Error
// kNotFound, kIo, kBadInput with file and line; kUnsupported for Parquet and Arrow, with the command that converts
// them.
EvalDocuments read_eval_rows(const std::string& path);

// The task's documents in a file: read_eval_rows(), each row as the harness has it. Throws as that; kBadInput for a row
// that is none of this task's, that of kShots makes no example, and for a file without any.
EvalDocuments read_eval_documents(const EvalTask& task, const std::string& path, EvalPart part = EvalPart::kScored);

}  // namespace fieldprint
