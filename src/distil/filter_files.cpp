#include "distil/filter_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "train/dataset.h"

namespace fieldprint::distil {
namespace {

namespace fs = std::filesystem;

std::string top_path(const std::string& path) { return fs::path(path).replace_extension(".top").string(); }

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// A file of the folder, and the hash of what is in it.
class Output {
 public:
  Output(const std::string& folder, const char* name) : file_((fs::path(folder) / name).string()) {}
  void write(std::string_view text) {
    file_.write(text);
    hash_.update(std::as_bytes(std::span(text)));
  }
  std::string commit() {
    file_.commit();
    return hash_.hex();
  }

 private:
  AtomicFile file_;
  Sha256 hash_;
};

void write_dropped(const FilterOptions& options, const std::vector<FilterRow>& rows) {
  Output out(options.out, "dropped.jsonl");
  for (const FilterRow& r : rows) {
    if (r.reasons.empty()) continue;
    nlohmann::ordered_json line = {{"key", r.row.key}};
    if (!r.row.id.empty()) line["id"] = r.row.id;
    line["reasons"] = nlohmann::ordered_json::array();
    for (const auto& [filter, reason] : r.reasons) {
      nlohmann::ordered_json one = {{"filter", filter}, {"why", reason.why}};
      if (!reason.detail.empty()) one["detail"] = reason.detail;
      line["reasons"].push_back(std::move(one));
    }
    out.write(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  }
  out.commit();
}

}  // namespace

RowFiles::RowFiles(const std::vector<std::string>& paths, std::vector<FilterRow>& rows, const Progress& progress)
    : paths_(paths) {
  for (size_t f = 0; f < paths_.size(); ++f) {
    const std::string& path = paths_[f];
    files_.push_back(std::make_unique<MappedFile>(path));
    const std::string_view text = text_of(*files_.back());
    int64_t number = 0;
    const size_t before = rows.size();
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      std::string_view line = text.substr(at, end - at);
      at = end + 1;
      ++number;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      const std::string where = fmt::format("{}:{}", path, number);
      if (!is_utf8(line)) throw Error(ErrorKind::kBadInput, "the row is not UTF-8", where);
      FilterRow row;
      row.row = read_teacher_row(line, where);
      row.line = line, row.file = f;
      // Nobody looks at the ids, and they are half of a row.
      row.row.prompt_ids = {}, row.row.token_ids = {};
      rows.push_back(std::move(row));
      if (number % 1000 == 0 && progress && !progress("rows", at, text.size()))
        throw Error(ErrorKind::kLimit, "stopped");
    }
    described_.push_back({fs::path(path).filename().string(), sha256_hex(files_.back()->bytes()),
                          static_cast<int64_t>(rows.size() - before)});
    std::error_code error;
    tops_.push_back(fs::exists(top_path(path), error) ? std::make_unique<TopFile>(top_path(path)) : nullptr);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const FilterRow& a, const FilterRow& b) { return a.row.key < b.row.key; });
  const auto twice = std::adjacent_find(rows.begin(), rows.end(),
                                        [](const FilterRow& a, const FilterRow& b) { return a.row.key == b.row.key; });
  if (twice != rows.end())
    throw Error(ErrorKind::kBadInput, fmt::format("two rows have the key {}", twice->row.key), paths_[twice->file],
                "`fieldprint distil merge` makes one file of several, with each key once");
}

std::string_view RowFiles::record(const FilterRow& r) const {
  if (r.row.top_k == 0) return {};
  const std::string path = top_path(paths_[r.file]);
  if (!tops_[r.file])
    throw Error(ErrorKind::kNotFound,
                "the rows have probabilities of their teacher, and this file of them is not there", path);
  const std::string_view bytes = tops_[r.file]->bytes(r.row.key);
  if (bytes.empty() || (!r.row.top_sha256.empty() && sha256_hex(std::as_bytes(std::span(bytes))) != r.row.top_sha256))
    throw Error(
        ErrorKind::kBadFile,
        fmt::format("the record of the row {} is {}", r.row.key, bytes.empty() ? "not there" : "not what the row says"),
        path);
  return bytes;
}

void write_filtered(const FilterOptions& options, const RowFiles& files, const std::vector<FilterRow>& rows,
                    FilterReport& report) {
  make_folder(options.out);
  Output kept(options.out, "kept.jsonl");
  std::optional<Output> top;
  for (const FilterRow& r : rows) {
    if (!r.reasons.empty()) continue;
    kept.write(r.line);
    kept.write("\n");
    const std::string_view record = files.record(r);
    if (record.empty()) continue;
    if (!top) top.emplace(options.out, "kept.top"), top->write(kTopMagic);
    top->write(record);
  }
  // Probabilities first: rows whose .top is missing cannot be told from rows of a damaged folder.
  std::error_code error;
  if (top) report.top_sha256 = top->commit();
  else fs::remove(fs::path(options.out) / "kept.top", error);
  report.kept_sha256 = kept.commit();
  write_dropped(options, rows);
  Output json(options.out, "report.json"), markdown(options.out, "report.md");
  json.write(to_json(report));
  markdown.write(to_markdown(report));
  markdown.commit();
  json.commit();
}

}  // namespace fieldprint::distil
