// What filters read and write: files of rows with their .top, and the folder of what came out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "distil/filter.h"

namespace fieldprint::distil {

// Immutable; the lines of its rows lie in it.
class RowFiles {
 public:
  // Puts all rows into `rows`, by key. Throws Error kNotFound, kIo; kBadInput with file and line for what is no row, or
  // where two rows have one key; kLimit where `progress` asks for a stop.
  RowFiles(const std::vector<std::string>& paths, std::vector<FilterRow>& rows, const Progress& progress);

  const std::vector<FilterReport::File>& described() const { return described_; }
  // The bytes of a row's record; "" where it has none. Throws Error kNotFound where its file has no .top, kBadFile
  // where its record is not there or is another's.
  std::string_view record(const FilterRow& row) const;

 private:
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::vector<std::unique_ptr<TopFile>> tops_;  // nullptr: there is none
  std::vector<FilterReport::File> described_;
};

// kept.jsonl, kept.top, dropped.jsonl, report.json and report.md in options.out; sets the hashes of `report`. Each file
// appears whole or not at all, the report last. Throws Error kIo, and as record().
void write_filtered(const FilterOptions& options, const RowFiles& files, const std::vector<FilterRow>& rows,
                    FilterReport& report);

}  // namespace fieldprint::distil
