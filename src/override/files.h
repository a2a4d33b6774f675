// The files of an override's directory, and what they come to.
#pragma once

#include <string>

#include "override/state.h"

namespace fieldprint::overrides {

inline constexpr const char* kSocketName = "override.sock";

struct Files {
  explicit Files(std::string path) : directory(std::move(path)) {}
  const std::string directory;
  std::string root() const { return directory + "/root"; }
  std::string journal() const { return directory + "/journal"; }
  std::string flags() const { return directory + "/flags"; }
};

// Root file and journal, folded. Error kNotFound, kBadFile, kIo.
State read_state(const Files& files);
void fold_one(State& state, const Entry& entry, const std::string& journal);           // Error kBadFile
State fold(Root root, const std::vector<Entry>& entries, const std::string& journal);  // Error kBadFile

}  // namespace fieldprint::overrides
