#include "override/files.h"

#include "fieldprint/error.h"
#include "override/journal.h"

namespace fieldprint::overrides {

void fold_one(State& state, const Entry& entry, const std::string& journal) {
  try {
    state.apply(entry);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFile, error.what(), journal);
  }
}

State fold(Root root, const std::vector<Entry>& entries, const std::string& journal) {
  State state(std::move(root));
  for (const Entry& entry : entries) fold_one(state, entry, journal);
  return state;
}

State read_state(const Files& files) {
  return fold(read_root(files.root()), read_journal(files.journal()).entries, files.journal());
}

}  // namespace fieldprint::overrides
