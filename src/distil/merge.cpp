// merge_distil(): one sorted file of all shards.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <memory>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "distil/key.h"
#include "distil/rows_file.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/distil.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

// What of a failure depends on the prompt and the teacher alone: how often and how it was tried does not.
std::string failure_line(TeacherRow row) {
  row.attempts = 0;
  if (row.failure != "refused") row.detail.clear();
  return to_line(row);
}

// Nothing of a user's is written over: probabilities go beside the rows, and only in place of probabilities.
void check_output(const std::string& out) {
  const std::string top = top_path(out);
  if (top == out)
    throw Error(ErrorKind::kUsage, "X.top is for the probabilities that go beside the rows", out, "--out rows.jsonl");
  std::error_code error;
  if (!fs::exists(top, error)) return;
  std::string head(kTopMagic.size(), '\0');
  std::ifstream file(top, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max(std::streamsize{0}, file.gcount())));
  if (!file.is_open() || (!head.empty() && head != kTopMagic))
    throw Error(ErrorKind::kUsage, "this file is in the way: it holds no probabilities of a teacher", top,
                "move it away, or choose another --out");
}

class Merge {
 public:
  void add(const std::string& path) {
    const std::string top = top_path(path);
    held_.push_back(hold_rows(path));
    texts_.push_back(std::make_unique<MappedFile>(path));
    const size_t file = tops_.size();
    tops_.push_back(fs::exists(top) && fs::file_size(top) > 0 ? std::make_unique<TopFile>(top) : nullptr);
    const std::string_view text = text_of(*texts_.back());
    if (!text.empty() && text[0] != '{' && text.find_first_not_of('\0') != std::string_view::npos)
      throw Error(ErrorKind::kBadInput, "this is no file of rows", path, "`fieldprint distil run` writes them");
    const auto take = [&](const TeacherRow& row, std::string_view line) {
      if (row_key(row) != row.key || row_seed(row.key) != row.seed)
        throw Error(ErrorKind::kBadFile,
                    fmt::format("row {} is not what its key says: the file was changed", row.key.substr(0, 12)), path,
                    "take the row out, and `distil run` asks for it again");
      if (row.top_k > 0) check_record(row, file, path);
      keep(row, line, file);
    };
    take_last(text.substr(each_row(text, path, take)), path, take);
  }

  DistilMerged write(const std::string& out) {
    Sha256 hash, top_hash;
    const std::string top_out = top_path(out);
    AtomicFile file(out);
    std::unique_ptr<AtomicFile> top;
    for (const auto& [key, kept] : rows_) {
      file.write(kept.line());
      hash.update(std::as_bytes(std::span(kept.line())));
      ++merged_.rows;
      if (kept.failed()) ++merged_.failed;
      if (kept.top_file < 0) continue;
      const auto put = [&](std::string_view bytes) {
        top->write(bytes);
        top_hash.update(std::as_bytes(std::span(bytes)));
      };
      if (!top) {
        top = std::make_unique<AtomicFile>(top_out);
        put(kTopMagic);
      }
      put(tops_[static_cast<size_t>(kept.top_file)]->bytes(key));
      ++merged_.records;
    }
    // The records first: rows that name what is not there would be worse than records that nobody names.
    if (top) top->commit();
    file.commit();
    if (!top && fs::exists(top_out)) fs::remove(top_out);  // of an earlier merge: these rows name none of it
    merged_.sha256 = hash.hex();
    if (top) merged_.top_sha256 = top_hash.hex();
    return merged_;
  }

 private:
  // What stands behind the last line's end: a row that an editor left without one, or what a kill left of a row.
  template <class Take>
  void take_last(std::string_view rest, const std::string& path, const Take& take) {
    if (rest.find_first_not_of("\0 \t\r"sv) == std::string_view::npos) return;
    TeacherRow row;
    try {
      row = read_teacher_row(rest, path);
    } catch (const Error&) {
      merged_.notes.push_back(
          fmt::format("{}: the last line is not whole and was left out; `distil run` asks for its row again", path));
      return;
    }
    lines_.push_back(std::string(rest) + '\n');
    take(row, lines_.back());
  }

  struct Kept {
    std::string_view mapped;  // an answer's line, in its file or lines_
    std::string failure;      // a failure's; "" = it is none
    int top_file;             // -1: no record

    bool failed() const { return !failure.empty(); }
    std::string_view line() const { return failed() ? std::string_view(failure) : mapped; }
  };

  void check_record(const TeacherRow& row, size_t file, const std::string& path) const {
    const std::string_view bytes = tops_[file] ? tops_[file]->bytes(row.key) : std::string_view();
    if (bytes.empty() || sha256_hex(std::as_bytes(std::span(bytes))) != row.top_sha256)
      throw Error(ErrorKind::kBadFile,
                  fmt::format("the probabilities of row {} are not those of the row", row.key.substr(0, 12)),
                  top_path(path),
                  "restore the file from a copy, or take the row out of the .jsonl: `distil run` asks for it again");
  }

  // Where a shard's file has a key twice, first failed and then answered, both come by here.
  void keep(const TeacherRow& row, std::string_view line, size_t file) {
    Kept next{line, row.failed() ? failure_line(row) : "", row.top_k > 0 ? static_cast<int>(file) : -1};
    const auto [place, fresh] = rows_.try_emplace(row.key, std::move(next));
    if (fresh) return;
    ++merged_.repeated;
    Kept& had = place->second;
    if (std::pair(next.failed(), next.line()) < std::pair(had.failed(), had.line())) had = std::move(next);
  }

  std::vector<Descriptor> held_;
  std::vector<std::unique_ptr<MappedFile>> texts_;
  std::vector<std::unique_ptr<TopFile>> tops_;
  std::list<std::string> lines_;
  std::map<std::string, Kept> rows_;
  DistilMerged merged_;
};

}  // namespace

DistilMerged merge_distil(const std::vector<std::string>& from, const std::string& out) {
  check_output(out);
  Merge merge;
  bool any = false;
  for (const std::string& path : from) {
    if (!fs::exists(path)) throw Error(ErrorKind::kNotFound, "there is no such file or folder", path);
    std::vector<std::string> files = {path};
    if (fs::is_directory(path)) files = rows_files(path);
    for (const std::string& file : files) {
      any = true;
      merge.add(file);
    }
  }
  if (!any)
    throw Error(ErrorKind::kNotFound, "there are no rows", from.empty() ? "" : from.front(),
                "`fieldprint distil run --out DIR` writes DIR/rows-1.jsonl");
  return merge.write(out);
}

}  // namespace fieldprint
