// `fieldprint models`: what can be had by name, and where it lies.
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
  bool pulled = false, in_catalogue = false;
};

// The catalogue, then other GGUF files that were pulled into the same folder.
std::vector<Known> known_models() {
  std::vector<Known> all;
  const fs::path folder = models_directory();
  std::error_code error;
  for (const auto& entry : catalog()) {
    const fs::path path = folder / entry.file;
    const auto size = fs::file_size(path, error);
    const bool pulled = !error && (entry.bytes == 0 || size == entry.bytes);
    all.push_back({std::string(entry.name), std::string(entry.licence), std::string(entry.about), path.string(),
                   pulled ? static_cast<uint64_t>(size) : entry.bytes, pulled, true});
  }
  const size_t named = all.size();
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".gguf" || !at->is_regular_file(error)) continue;
    if (std::any_of(all.begin(), all.end(), [&](const Known& k) { return k.path == at->path().string(); })) continue;
    all.push_back({fs::relative(at->path(), folder, error).string(), "", "", at->path().string(), at->file_size(error),
                   true, false});
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
      bold(fmt::format("{:<{}}  {:>9}  {:<{}}  {:<6}  {}", "NAME", name, "SIZE", "LICENCE", licence, "PULLED", "ABOUT"),
           out_is_terminal()) +
      "\n");
  for (const auto& model : models)
    write_out(fmt::format("{:<{}}  {:>9}  {:<{}}  {:<6}  {}\n", model.name, name,
                          model.bytes ? bytes_text(model.bytes) : "?", model.licence, licence,
                          model.pulled ? "yes" : "-", model.about));
  write_out(fmt::format("\nPulled models lie in {}\n", models_directory()));
}

void print_json(const std::vector<Known>& models) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& model : models)
    list.push_back({{"name", model.name},
                    {"bytes", model.bytes},
                    {"licence", model.licence},
                    {"about", model.about},
                    {"in_catalogue", model.in_catalogue},
                    {"pulled", model.pulled},
                    {"path", model.path}});
  write_out(list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
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
