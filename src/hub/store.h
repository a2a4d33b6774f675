// The folder where models lie, and the room beside it where a pull works until all is well.
//
//   <models>/NAME               appears only whole, by rename
//   <models>/.pull/NAME.lock    held (flock) by the one pull of NAME; what lies beside it belongs to the holder
//   <models>/.pull/NAME.part    what a download has so far (resumes); NAME.part.tag: which version of the file it is of
//   <models>/.pull/NAME.tmp/    a wheel on its way; removed when the pull ends, or by the next one where it was killed
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/piece_writer.h"
#include "fieldprint/progress.h"

namespace fieldprint {

struct Place {
  std::filesystem::path file;  // the final one
  std::filesystem::path part;
  std::filesystem::path tag;
  std::filesystem::path scratch;
  std::filesystem::path lock;
};

// `name` is a checked relative path (see name.h). Creates nothing.
Place place_of(const std::string& name);

// An advisory lock between processes and threads; the system drops it when its holder dies.
class PullLock {
 public:
  // Waits for another pull of the same file, reporting to `progress`. Throws Error kIo, or kLimit when asked to stop.
  PullLock(const Place& place, const Progress& progress);
  ~PullLock();
  PullLock(const PullLock&) = delete;
  PullLock& operator=(const PullLock&) = delete;

 private:
  int fd_ = -1;
};

// An open file that is written from one end to the other; every failure is an Error that names the file.
class OutputFile {
 public:
  enum class Mode { kFresh, kAppend };
  OutputFile(const std::filesystem::path& path, Mode mode);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, size_t bytes);
  void empty();  // back to no bytes
  void flush();  // on the disk when it returns
  uint64_t size() const { return pieces_.size(); }

 private:
  std::string path_;
  int fd_ = -1;
  PieceWriter pieces_;
};

// Removes the file at `place` and what pulls of it have left; folders that are empty then go too. Throws Error kIo, or
// kLimit where it is being pulled.
void remove_place(const Place& place);

void make_folders(const std::filesystem::path& folder);
void remove_quietly(const std::filesystem::path& path);  // a file or a folder and all in it; what cannot go stays

// Throws Error kIo where fewer than `bytes` are free on the disk of `folder`, naming both numbers.
void require_space(const std::filesystem::path& folder, uint64_t bytes);
inline constexpr const char* kMakeRoom = "make room, or set XDG_DATA_HOME to another disk";  // the hint of a full disk

// The flushed file `from` becomes `to` at one stroke, and stays so after a power cut.
void publish(const std::filesystem::path& from, const std::filesystem::path& to);

// Size 0 and hash "" are not checked. Throws Error kBadFile that shows what was found and what was expected.
void check_whole(const std::filesystem::path& path, uint64_t bytes, std::string_view sha256, const Progress& progress);

// As check_whole, as an answer; false also where there is no such file.
bool is_whole(const std::filesystem::path& path, uint64_t bytes, std::string_view sha256, const Progress& progress);

// Tells `progress`; throws Error kLimit where it asks to stop.
void report(const Progress& progress, std::string_view what, uint64_t done, uint64_t total);

}  // namespace fieldprint
