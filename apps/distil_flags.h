// The flags of `fieldprint distil plan` and `run`, which are the same: what is asked, of whom, and how.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/distil.h"
#include "fieldprint/sampling.h"

namespace fieldprint::cli {

struct DistilFlags {
  DistilOptions options;
  std::string teacher;  // a name of the catalogue, a file or a URL
  std::string template_text, template_file, system_file, tools_file, think = "auto", extra, key_variable, key_file,
                                                                     shard;
  std::vector<std::string> each;
  SamplingOptions sampling;
  std::vector<CLI::Option*> sampling_flags;

  // All of it as the library takes it. Throws Error kUsage, kNotFound, kIo.
  DistilOptions wanted() const;
};

void add_distil_flags(CLI::App& app, DistilFlags& flags);

// A number that may end in K, M, G or T, powers of 1000. Throws Error kUsage that begins with `what`.
int64_t parse_thousands(std::string_view text, std::string_view what);

}  // namespace fieldprint::cli
