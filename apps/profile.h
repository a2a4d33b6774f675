// --profile and --profile-trace: where the time went, as a table on stderr and as a trace that browsers show.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "fieldprint/bench.h"
#include "fieldprint/session.h"

namespace fieldprint::cli {

struct ProfileOptions {
  bool table = false;
  std::string trace;  // a file's name; "" = none

  // What sessions are to write to; nullptr where neither is wanted.
  std::shared_ptr<Profile> create() const;
};

void add_profile(CLI::App& app, ProfileOptions& options);

// The table. `title` begins its first line.
void show_profile(const Profile& profile, const Ceilings& ceilings, const std::string& title);
void write_trace(const Profile& profile, const std::string& file);  // throws Error kIo

}  // namespace fieldprint::cli
