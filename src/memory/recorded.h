// The commits of an export, as an audit and the monitor read them back: what each answer had read and said up to each
// of its boundaries (docs/formats/memory.md, "An exported directory").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/boundaries.h"
#include "memory/event.h"

namespace fieldprint::memory {

struct RecordedCommit {
  int64_t index;      // of the event
  Event event;        // COMMIT
  Boundary boundary;  // without its state; `hidden` is not empty where there was one
};

// In the ledger's order; of all sessions, or of one. Error kNotFound where the export has none, kBadFile.
std::vector<RecordedCommit> recorded_commits(const std::string& directory, const std::string* session);

// An answer, boundary by boundary.
struct Course {
  Digest link = {};  // of the chain of pages
  std::vector<TokenId> tokens;
  std::vector<PageRange> pages;
  std::shared_ptr<const BoundaryContext> context;

  // Appends what the boundary adds, or goes back where it begins anew. Error kBadFile.
  void follow(const Boundary& boundary);
  // All of it as a prompt, under the labels that it had. Error kBadFile.
  std::vector<LabelledTokens> spans() const;
};

}  // namespace fieldprint::memory
