#include "fieldprint/catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "base/split_name.h"
#include "fieldprint/error.h"
#include "hub/name.h"
#include "hub/pull.h"
#include "hub/store.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

constexpr CatalogEntry kCatalog[] = {
#define FIELDPRINT_MODEL(...) {__VA_ARGS__},
#include "hub/catalog.def"
#undef FIELDPRINT_MODEL
};

// What a name asks for: a row of the catalogue, or one made up for a file of the hub.
struct Wanted {
  const CatalogEntry* known = nullptr;
  std::string source, member, file;  // where there is none

  CatalogEntry row() const {
    return known != nullptr ? *known : CatalogEntry{file, source, member, file, 0, "", "", ""};
  }
};

const CatalogEntry* find_row(std::string_view name) {
  for (const CatalogEntry& row : kCatalog) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// Of a model in several files the first stands for all.
std::string first_file(const std::string& file) {
  const auto split = parse_split_name(file);
  return split ? split_name(split->stem, 1, split->count) : file;
}

std::optional<Wanted> find_wanted(const std::string& name) {
  if (const CatalogEntry* row = find_row(name)) return Wanted{row, "", "", ""};
  const std::optional<HubFile> hub = parse_hub_name(name);
  if (!hub) return std::nullopt;
  const std::string source = fmt::format("hf:{}/{}", hub->owner, hub->repo), file = first_file(hub->file);
  for (const CatalogEntry& row : kCatalog) {  // a file with a name of its own lies under that name, once
    if (row.source == source && row.member == file) return Wanted{&row, "", "", ""};
  }
  return Wanted{nullptr, source, file, fmt::format("{}/{}/{}", hub->owner, hub->repo, file)};
}

bool looks_like_path(std::string_view name) {
  return name.find('/') != std::string_view::npos || (name.size() > 5 && name.substr(name.size() - 5) == ".gguf");
}

// Levenshtein's distance: how many letters to add, drop or change.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

std::string hint_for(std::string_view name) {
  std::vector<std::string_view> near;
  for (const CatalogEntry& entry : kCatalog) {
    const bool begins = !name.empty() && entry.name.substr(0, name.size()) == name;
    if (name.size() < 64 && (begins || edit_distance(name, entry.name) <= std::max<size_t>(2, name.size() / 4))) {
      near.push_back(entry.name);
    }
  }
  if (!near.empty()) return fmt::format("did you mean {}?", fmt::join(near, " or "));
  return "name a file, owner/repo:file.gguf, or one that `fieldprint models` lists";
}

Error unknown(const std::string& name) {
  return Error(ErrorKind::kNotFound, looks_like_path(name) ? "no such file" : "no model has this name", name,
               hint_for(name));
}

// A file that is there wins over every other reading of a name but the catalogue's.
std::optional<std::string> existing_path(const std::string& name) {
  if (find_row(name) != nullptr) return std::nullopt;
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
  if (fs::is_directory(name, error)) throw Error(ErrorKind::kNotFound, "is a folder, not a model file", name);
  if (fs::exists(name, error)) throw Error(ErrorKind::kIo, "is not a regular file", name);
  return std::nullopt;
}

}  // namespace

std::span<const CatalogEntry> catalog() { return kCatalog; }

const CatalogEntry* find_catalog_entry(std::string_view name_or_path) {
  if (const CatalogEntry* row = find_row(name_or_path)) return row;
  for (const CatalogEntry& row : kCatalog) {
    if (name_or_path == place_of(std::string(row.file)).file.string()) return &row;
  }
  return nullptr;
}

std::string models_directory() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/') {
    return (fs::path(data) / "fieldprint" / "models").string();
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') {
    const passwd* user = ::getpwuid(::getuid());
    home = user == nullptr ? nullptr : user->pw_dir;
  }
  if (home == nullptr || home[0] != '/') {
    throw Error(ErrorKind::kNotFound, "there is no home folder to keep models in", {}, "set XDG_DATA_HOME");
  }
  return (fs::path(home) / ".local" / "share" / "fieldprint" / "models").string();
}

std::vector<std::string> model_files(const std::string& path) {
  const auto split = parse_split_name(path);
  if (!split) return {path};
  std::vector<std::string> files;
  for (uint32_t number = 1; number <= split->count; ++number)
    files.push_back(split_name(split->stem, number, split->count));
  return files;
}

std::string resolve_model(const std::string& name) {
  if (const auto path = existing_path(name)) return *path;
  const std::optional<Wanted> found = find_wanted(name);
  if (!found) throw unknown(name);
  const CatalogEntry row = found->row();
  const Place place = place_of(std::string(row.file));
  std::error_code error;
  if (!fs::is_regular_file(place.file, error)) {
    throw Error(ErrorKind::kNotFound, "is not on this machine yet", name, "fieldprint pull " + name);
  }
  check_whole(place.file, row.file_bytes(), "", {});
  return place.file.string();
}

std::string pulled_file(const std::string& name) {
  const std::optional<Wanted> found = find_wanted(name);
  std::error_code error;
  if (!found) {
    if (!fs::exists(name, error)) throw unknown(name);
    throw Error(ErrorKind::kUsage, "is a file of your own, not a pulled model", name, "`rm` of the shell removes it");
  }
  const std::string file(found->row().file);
  for (const std::string& part : model_files(file)) {
    const Place place = place_of(part);
    if (fs::exists(place.file, error) || fs::exists(place.part, error)) return place_of(file).file.string();
  }
  throw Error(ErrorKind::kNotFound, "is not on this machine", name, "`fieldprint models` lists what is");
}

void remove_model(const std::string& name) {
  (void)pulled_file(name);
  for (const std::string& file : model_files(std::string(find_wanted(name)->row().file))) remove_place(place_of(file));
}

std::string pull_model(const std::string& name, const Progress& progress, const ConvertModel& convert) {
  if (const auto path = existing_path(name)) return *path;
  const std::optional<Wanted> found = find_wanted(name);
  if (!found) throw unknown(name);
  return pull_entry(found->row(), progress, {}, convert);
}

}  // namespace fieldprint
