// `fieldprint pull`: models by name, fetched once.
#include <fmt/format.h>

#include <filesystem>

#include "command.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

Action add_pull(CLI::App& app) {
  struct Pull {
    std::vector<std::string> names;
    bool quiet = false;
  };
  auto pull = std::make_shared<Pull>();
  add_texts(app, "NAME", pull->names, "NAME",
            "A name from `fieldprint models`, or owner/repo:file of Hugging Face; several will do")
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
          fmt::format("`fieldprint pull {}` fetches the default one; `fieldprint models` lists more", kDefaultModel));
    const SignalGuard guard;
    for (const auto& name : pull->names) {
      bool fetched = false;
      ProgressBar bar(ProgressBar::Unit::kBytes, pull->quiet);
      const std::string path = pull_model(name, [&](std::string_view what, uint64_t done, uint64_t total) {
        fetched = true;
        return bar.update(what, done, total);
      });
      bar.wipe();
      if (!pull->quiet)
        note(fmt::format("{} {} ({})", fetched ? "fetched" : "already here:", name,
                         bytes_text(std::filesystem::file_size(path))));
      write_out(path + "\n");  // for scripts: where each lies
    }
    return kDone;
  };
}

}  // namespace fieldprint::cli
