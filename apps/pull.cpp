// `fieldprint pull`: models by name, downloaded once.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "command.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

// Of the model's file, which a pull puts in place anew; 0 where there is none.
static ino_t inode_of(const std::string& name) {
  struct stat status {};
  try {
    return ::stat(resolve_model(name).c_str(), &status) == 0 ? status.st_ino : 0;
  } catch (const Error&) {
    return 0;
  }
}

static uint64_t model_bytes(const std::string& path) {
  uint64_t bytes = 0;
  for (const std::string& file : model_files(path)) bytes += std::filesystem::file_size(file);
  return bytes;
}

Action add_pull(CLI::App& app) {
  struct Pull {
    std::vector<std::string> names;
    bool quiet = false;
  };
  auto pull = std::make_shared<Pull>();
  add_texts(
      app, "NAME", pull->names, "NAME",
      "One or more names from `fieldprint models`, or owner/repo:file.gguf of Hugging Face; of a model in several "
      "files (NAME-00001-of-00003.gguf) all are fetched")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_quiet(app, pull->quiet);
  app.footer(
      "  fieldprint pull smollm2-135m\n"
      "  fieldprint pull owner/repo:model.gguf");
  return [pull] {
    if (pull->names.empty())
      throw Error(
          ErrorKind::kUsage, "which model?", {},
          fmt::format("`fieldprint pull {}` fetches the default one, `fieldprint models` lists more", kDefaultModel));
    const SignalGuard guard;
    for (const auto& name : pull->names) {
      const ino_t before = inode_of(name);
      const std::string path = fetch_model(name, pull->quiet);
      if (!pull->quiet)
        note(fmt::format("{} ({}) {}", name, bytes_text(model_bytes(path)),
                         inode_of(name) == before ? "is already here" : "is here now"));
      write_data(path + "\n");  // for scripts: where each lies
    }
    return kDone;
  };
}

}  // namespace fieldprint::cli
