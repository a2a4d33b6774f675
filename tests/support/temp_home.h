// A home of the test's own: an empty folder, XDG_DATA_HOME in it, environment variables put back at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fieldprint {

class TempHome {
 public:
  TempHome() {
    std::string name = (std::filesystem::temp_directory_path() / "fieldprint-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
    path_ = name;
    set("XDG_DATA_HOME", name);
  }
  ~TempHome() {
    for (auto it = before_.rbegin(); it != before_.rend(); ++it) {
      if (it->second) ::setenv(it->first.c_str(), it->second->c_str(), 1);
      else ::unsetenv(it->first.c_str());
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempHome(const TempHome&) = delete;
  TempHome& operator=(const TempHome&) = delete;

  void set(const std::string& key, const std::optional<std::string>& value) {
    const char* old = std::getenv(key.c_str());
    before_.emplace_back(key, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    if (value) ::setenv(key.c_str(), value->c_str(), 1);
    else ::unsetenv(key.c_str());
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace fieldprint
