// A shard's rows on disk: FOLDER/rows-1.jsonl, and rows-1.top with the probabilities. Append-only; what append() has
// returned from outlives a kill and a power cut.
//
// Records go to the disk before the rows that name them. So at any moment the rows are right, up to a last line that is
// not whole, and the next start cuts that off, with the records that no row names.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/descriptor.h"
#include "base/mapped_file.h"
#include "train/distilled.h"

namespace fieldprint {

// What is known of a key from disk. An answer stands, whatever failures of the key there are.
struct KnownRow {
  std::string failure;        // "" = answered
  std::string finish_reason;  // of an answer
  std::string detail;         // of a failure
  bool cut = false;
  int64_t prompt_tokens = 0, completion_tokens = 0;  // spent_tokens()
};
using KnownRows = std::unordered_map<std::string, KnownRow>;

std::string rows_path(const std::string& folder, int shard);
std::string top_path(const std::string& rows_path);              // "rows-1.top" of "rows-1.jsonl"
std::vector<std::string> rows_files(const std::string& folder);  // all shards' rows, by name; none where there is none
bool is_cut(const TeacherRow& row);  // it ended at a limit, or in the middle of its thinking

// What a row cost: as the teacher counted, at most kMostTokens each; where it did not, four bytes are a token.
constexpr int64_t kMostTokens = int64_t{1} << 30;
constexpr int64_t kBytesOfToken = 4;  // of English text, about
struct SpentTokens {
  int64_t prompt = 0, completion = 0;
  bool estimated = false;
};
SpentTokens spent_tokens(const TeacherRow& row);

// Calls each(row, line) for every whole line of a file's text, with its end, and returns how many bytes these are: what
// follows has no line's end, as a kill or a power cut leaves it. Throws Error kBadInput with `path` and the line's
// number for a whole line that is no row, zeros in it too: what is behind it would be lost.
uint64_t each_row(std::string_view text, const std::string& path,
                  const std::function<void(const TeacherRow&, std::string_view)>& each, int64_t first_number = 1);
std::string_view text_of(const MappedFile& file);

// No run writes to the file as long as what is returned lives. Throws Error kUsage where one does, kIo.
Descriptor hold_rows(const std::string& path);

void add_known(KnownRows& known, const TeacherRow& row);
KnownRows known_rows(const std::string& folder);  // of all shards; they may be at work

class RowsFile {
 public:
  struct Finished {
    TeacherRow row;
    TopRecord top;  // k 0: none
  };

  // Creates folder and files where they are not there, and mends what a kill left. Throws Error kUsage where another
  // run is at work on this shard, kIo, kBadInput, kBadFile for a row whose record is gone.
  RowsFile(const std::string& folder, int shard);

  // On disk when it returns. Throws Error kIo, and the files are as they were.
  void append(std::vector<Finished>& rows);
  const std::string& path() const { return path_; }

 private:
  struct File {
    std::string path;
    Descriptor fd;
    uint64_t size = 0;
  };
  static void open(File& file);
  void mend();
  [[noreturn]] void refuse_lost(const std::vector<std::string>& keys) const;
  static void write(const File& file, std::string_view bytes);

  std::string path_;
  File rows_, top_;
};

}  // namespace fieldprint
