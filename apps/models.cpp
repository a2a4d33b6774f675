// `fieldprint models`: the models that have a name, and which of them are here.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/catalog.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

namespace fs = std::filesystem;

struct Known {
  std::string name, licence, about, path;
  uint64_t bytes = 0;
  bool exact = true, pulled = false, in_catalogue = false;
};

// The name that a file of the Hugging Face hub was pulled by: owner/repo:file.
std::string name_of(const fs::path& relative) {
  std::string name = relative.string();
  const size_t owner = name.find('/');
  const size_t repo = owner == std::string::npos ? owner : name.find('/', owner + 1);
  if (repo != std::string::npos) name[repo] = ':';
  return name;
}

// The catalogue, then other GGUF files that were pulled into the same folder.
std::vector<Known> known_models() {
  std::vector<Known> all;
  const fs::path folder = models_directory();
  std::error_code error;
  for (const auto& entry : catalog()) {
    const fs::path path = folder / entry.file;
    const auto size = fs::file_size(path, error);
    const uint64_t exact = entry.file_bytes();
    const bool pulled = !error && (exact == 0 || size == exact);
    all.push_back({std::string(entry.name), std::string(entry.licence), std::string(entry.about), path.string(),
                   pulled ? static_cast<uint64_t>(size) : std::max(exact, entry.roughly_bytes), pulled || exact > 0,
                   pulled, true});
  }
  const size_t named = all.size();
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".gguf" || !at->is_regular_file(error)) continue;
    const std::vector<std::string> files = model_files(at->path().string());
    if (files.front() != at->path().string()) continue;  // one of several, and the first stands for all
    uint64_t bytes = 0;
    for (const std::string& file : files) {
      std::error_code missing;
      const uintmax_t size = fs::file_size(file, missing);
      if (!missing) bytes += size;
    }
    if (std::any_of(all.begin(), all.end(), [&](const Known& k) { return k.path == at->path().string(); })) continue;
    all.push_back(
        {name_of(fs::relative(at->path(), folder, error)), "", "", at->path().string(), bytes, true, true, false});
  }
  std::sort(all.begin() + static_cast<std::ptrdiff_t>(named), all.end(),
            [](const Known& a, const Known& b) { return a.name < b.name; });
  return all;
}

void print_table(const std::vector<Known>& models) {
  size_t name = 4, licence = 7;
  for (const auto& model : models) {
    name = std::max(name, model.name.size());
    licence = std::max(licence, model.licence.size());
  }
  write_out(
      fmt::format("{:<{}}  {:>10}  {:<{}}  {:<6}  {}\n", "NAME", name, "SIZE", "LICENCE", licence, "PULLED", "ABOUT"),
      Style::kBold);
  for (const auto& model : models)
    write_out(fmt::format("{:<{}}  {:>10}  {:<{}}  {:<6}  {}\n", printable_line(model.name), name,
                          (model.exact ? "" : "~") + bytes_text(model.bytes), model.licence, licence,
                          model.pulled ? "yes" : "-", model.about));
  write_out(fmt::format("\n`fieldprint pull NAME` fetches one into {}\n", models_directory()));
}

void print_json(const std::vector<Known>& models) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& model : models)
    list.push_back({{"name", model.name},
                    {"bytes", model.bytes},
                    {"bytes_exact", model.exact},
                    {"licence", model.licence},
                    {"about", model.about},
                    {"in_catalogue", model.in_catalogue},
                    {"pulled", model.pulled},
                    {"path", model.path}});
  write_json(list, 2);
}

}  // namespace

Action add_models(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  add_flag(app, "--json", *json, "A JSON array of objects")->group("Output");
  return [json] {
    const auto models = known_models();
    if (*json) print_json(models);
    else print_table(models);
    return kDone;
  };
}

}  // namespace fieldprint::cli
