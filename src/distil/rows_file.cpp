#include "distil/rows_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/sha256.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, int why) {
  const char* hint =
      why == ENOSPC || why == EDQUOT ? "free some room; the same command goes on from what is there" : "";
  throw Error(ErrorKind::kIo, std::strerror(why), path, hint);
}

void sync_folder(const std::string& folder) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) fail(folder, errno);
}

// "rows-1.jsonl"; a merged file in the same folder is none.
bool is_shard(std::string_view name) {
  constexpr std::string_view kBefore = "rows-", kBehind = ".jsonl";
  if (!name.starts_with(kBefore) || !name.ends_with(kBehind) || name.size() <= kBefore.size() + kBehind.size())
    return false;
  name = name.substr(kBefore.size(), name.size() - kBefore.size() - kBehind.size());
  return name.find_first_not_of("0123456789") == std::string_view::npos;
}

std::unique_ptr<TopFile> open_top(const std::string& path) {
  try {
    return std::make_unique<TopFile>(path);
  } catch (const Error& error) {
    throw Error(
        error.kind(), error.what(), {},
        "restore the file from a copy; or move it away with its .jsonl, and all of their rows are asked for again");
  }
}

// Up to the end of the last record that one of `keys` names; 0: none is.
uint64_t named_records(std::string_view file, uint64_t whole, const std::set<std::string>& keys) {
  constexpr size_t kKeyBytes = 32, kHeadBytes = kKeyBytes + 8;
  uint64_t named = 0;
  for (uint64_t at = kTopMagic.size(); at + kHeadBytes <= whole;) {
    uint32_t k = 0, tokens = 0;
    std::memcpy(&k, file.data() + at + kKeyBytes, sizeof k);
    std::memcpy(&tokens, file.data() + at + kKeyBytes + 4, sizeof tokens);
    std::string key;
    for (const char c : file.substr(at, kKeyBytes)) key += fmt::format("{:02x}", static_cast<unsigned char>(c));
    at += kHeadBytes + uint64_t{tokens} * (6 * uint64_t{k} + 2);
    if (keys.contains(key)) named = at;
  }
  return named;
}

}  // namespace

std::string rows_path(const std::string& folder, int shard) { return fmt::format("{}/rows-{}.jsonl", folder, shard); }

std::string top_path(const std::string& rows_path) { return fs::path(rows_path).replace_extension(".top").string(); }

std::vector<std::string> rows_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (is_shard(name)) files.push_back(it->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool is_cut(const TeacherRow& row) { return row.unclosed || row.finish_reason == "length"; }

SpentTokens spent_tokens(const TeacherRow& row) {
  SpentTokens spent;
  if (row.failed()) return spent;
  const auto count = [&](int64_t told, size_t bytes) {
    if (told > 0 || bytes == 0) return std::min(told, kMostTokens);
    spent.estimated = true;
    return std::max(int64_t{1}, static_cast<int64_t>(bytes) / kBytesOfToken);
  };
  spent.prompt = count(row.prompt_tokens, row.messages.size() + row.tools.size());
  spent.completion = count(row.completion_tokens, row.reasoning.size() + row.content.size() + row.tool_calls.size());
  return spent;
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

uint64_t each_row(std::string_view text, const std::string& path,
                  const std::function<void(const TeacherRow&, std::string_view)>& each, int64_t number) {
  size_t at = 0;
  for (;; ++number) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return at;
    const std::string_view line = text.substr(at, end + 1 - at);
    const std::string where = fmt::format("{}:{}", path, number);
    const std::string hint = fmt::format(
        "restore the file from a copy, or take line {} out: `distil run` then asks for its row again", number);
    if (line.find('\0') != std::string_view::npos)
      throw Error(ErrorKind::kBadInput, "there are zero bytes in this row: the file is damaged", where, hint);
    std::optional<TeacherRow> row;
    try {
      row = read_teacher_row(line.substr(0, line.size() - 1), where);
    } catch (const Error& error) {
      throw Error(error.kind(), error.what(), {}, error.hint().empty() ? hint : error.hint());
    }
    each(*row, line);
    at = end + 1;
  }
}

void add_known(KnownRows& known, const TeacherRow& row) {
  const auto [place, fresh] = known.try_emplace(row.key);
  if (!fresh && place->second.failure.empty()) return;
  const SpentTokens spent = spent_tokens(row);
  place->second = {row.failure, row.finish_reason, row.detail, is_cut(row), spent.prompt, spent.completion};
}

KnownRows known_rows(const std::string& folder) {
  KnownRows known;
  for (const std::string& path : rows_files(folder)) {
    // Not mapped: the run of another shard may cut its file back meanwhile.
    std::ifstream file(path);
    std::string line;
    for (int64_t number = 1; std::getline(file, line) && !file.eof(); ++number) {
      line += '\n';
      each_row(
          line, path, [&](const TeacherRow& row, std::string_view) { add_known(known, row); }, number);
    }
  }
  return known;
}

Descriptor hold_rows(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) fail(path, errno);
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) != 0)
    throw Error(ErrorKind::kUsage, "a run is at work on these rows", path, "wait for it, or end it: it goes on later");
  return fd;
}

RowsFile::RowsFile(const std::string& folder, int shard) : path_(rows_path(folder, shard)) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorKind::kIo, error.message(), folder);
  rows_.path = path_;
  top_.path = top_path(path_);
  open(rows_);
  if (::flock(rows_.fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(ErrorKind::kUsage, "another run is at work on this shard", path_,
                "wait for it, or share the rows out: --shard 1/2 and --shard 2/2");
  if (fs::exists(top_.path)) open(top_);  // else with the first record
  sync_folder(folder);
  mend();
}

void RowsFile::open(File& file) {
  file.fd.reset(::open(file.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file.fd) fail(file.path, errno);
}

// Their answers may have cost much, so they are not thrown away here.
void RowsFile::refuse_lost(const std::vector<std::string>& keys) const {
  constexpr size_t kShown = 20, kDigits = 16;
  std::string either;
  for (size_t i = 0; i < std::min(kShown, keys.size()); ++i) either += (i > 0 ? "|" : "") + keys[i].substr(0, kDigits);
  throw Error(ErrorKind::kBadFile,
              fmt::format("the probabilities of {} are gone or damaged, of {} first",
                          keys.size() == 1 ? "1 row" : fmt::format("{} rows", keys.size()), keys[0].substr(0, kDigits)),
              top_.path,
              fmt::format("restore the file from a copy; or take {} out, and the same command asks for them again: "
                          "sed -i -E '/\"key\":\"({})/d' '{}'",
                          keys.size() > kShown ? "these rows, 20 at a time," : "these rows", either, path_));
}

void RowsFile::mend() {
  std::map<std::string, std::set<std::string>> hashes;  // of the records that rows name, by key
  const MappedFile rows(path_);
  rows_.size = each_row(text_of(rows), path_, [&](const TeacherRow& row, std::string_view) {
    if (row.top_k > 0) hashes[row.key].insert(row.top_sha256);
  });
  if (!hashes.empty()) {
    const std::unique_ptr<TopFile> top = top_.fd ? open_top(top_.path) : nullptr;
    std::set<std::string> named;
    std::vector<std::string> lost;
    for (const auto& [key, wanted] : hashes) {
      const std::string_view record = top ? top->bytes(key) : std::string_view();
      if (record.empty() || !wanted.contains(sha256_hex(std::as_bytes(std::span(record))))) lost.push_back(key);
      named.insert(key);
    }
    if (!lost.empty()) refuse_lost(lost);
    const MappedFile file(top_.path);
    top_.size = named_records(text_of(file), top->whole_bytes(), named);
  }
  for (const File* file : {&rows_, &top_}) {
    if (!file->fd) continue;
    struct stat status {};
    if (::fstat(file->fd.get(), &status) != 0) fail(file->path, errno);
    if (static_cast<uint64_t>(status.st_size) == file->size) continue;
    if (::ftruncate(file->fd.get(), static_cast<off_t>(file->size)) != 0 || ::fsync(file->fd.get()) != 0)
      fail(file->path, errno);
  }
}

void RowsFile::write(const File& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(file.path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (::fdatasync(file.fd.get()) != 0) fail(file.path, errno);
}

void RowsFile::append(std::vector<Finished>& finished) {
  std::string records, lines;
  for (Finished& each : finished) {
    if (each.top.k > 0) {
      each.top.key = each.row.key;
      const std::string record = to_bytes(each.top);
      each.row.top_k = each.top.k;
      each.row.top_sha256 = sha256_hex(std::as_bytes(std::span(record)));
      records += record;
    }
    lines += to_line(each.row);
  }
  if (!records.empty() && top_.size == 0) records.insert(0, kTopMagic);
  if (!records.empty() && !top_.fd) {
    open(top_);
    sync_folder(fs::path(path_).parent_path().string());
  }
  try {
    if (!records.empty()) write(top_, records);
    write(rows_, lines);
  } catch (const Error&) {
    // A half written line would be cut off by the next start; this leaves nothing for it to do. Where even that fails
    // there is nothing better to say than what failed first.
    for (const File* file : {&rows_, &top_}) {
      if (file->fd && ::ftruncate(file->fd.get(), static_cast<off_t>(file->size)) != 0) continue;
    }
    throw;
  }
  top_.size += records.size();
  rows_.size += lines.size();
}

}  // namespace fieldprint
