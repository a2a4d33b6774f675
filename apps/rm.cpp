// `fieldprint rm`: pulled models, gone again.
#include <fmt/format.h>

#include <filesystem>

#include "command.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "files.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

Action add_rm(CLI::App& app) {
  struct Remove {
    std::vector<std::string> names;
    bool yes = false, quiet = false;
  };
  auto remove = std::make_shared<Remove>();
  add_texts(app, "NAME", remove->names, "NAME", "One or more names, as `fieldprint models` lists them")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_flag(app, "-y,--yes", remove->yes, "Do not ask");
  add_quiet(app, remove->quiet);
  app.footer(
      "  fieldprint rm smollm2-135m\n"
      "  fieldprint rm --yes owner/repo:model.gguf");
  return [remove] {
    if (remove->names.empty())
      throw Error(ErrorKind::kUsage, "which model?", {}, "`fieldprint models` lists those on this machine");
    for (const auto& name : remove->names) {
      uint64_t bytes = 0;
      std::error_code missing;
      for (const std::string& file : model_files(pulled_file(name))) {
        const uintmax_t size = std::filesystem::file_size(file, missing);
        if (missing) break;
        bytes += size;
      }
      const std::string size = missing ? "a broken download" : bytes_text(bytes);
      if (!remove->yes) {
        if (!in_is_terminal() || !err_is_terminal())
          throw Error(ErrorKind::kUsage, "nobody is there to ask whether to remove it", name, "--yes answers for you");
        if (ask(fmt::format("Remove {} ({})? [y/N] ", name, size)) != 'y') continue;
      }
      remove_model(name);
      if (!remove->quiet) note(fmt::format("removed {} ({})", name, size));
    }
    return kDone;
  };
}

}  // namespace fieldprint::cli
