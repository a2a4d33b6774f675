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

Action add_pull(CLI::App& app) {
  struct Pull {
    std::vector<std::string> names;
    bool quiet = false;
  };
  auto pull = std::make_shared<Pull>();
  add_texts(app, "NAME", pull->names, "NAME",
            "One or more names from `fieldprint models`, or owner/repo:file.gguf of Hugging Face")
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
      ProgressBar bar(ProgressBar::Unit::kBytes, pull->quiet);
      const std::string path = pull_model(name, bar.callback());
      bar.wipe();
      if (!pull->quiet)
        note(fmt::format("{} ({}) {}", name, bytes_text(std::filesystem::file_size(path)),
                         inode_of(name) == before ? "is already here" : "is here now"));
      write_data(path + "\n");  // for scripts: where each lies
    }
    return kDone;
  };
}

}  // namespace fieldprint::cli
