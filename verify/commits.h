// What an audit computes a run's boundaries again from, where the export has it: each part held to the COMMIT event
// that it is of, as far as that can be done without the model.
#pragma once

#include <cstdint>
#include <map>

#include "files.h"
#include "hash.h"
#include "report.h"

namespace fieldprint::verify {

// `tokens`: the digest of token ids that each COMMIT event says, by the event's index. Returns how many were there and
// right. Faults: those of open_file() but not "export.missing", "commits.form", "commits.order", "commit.unknown",
// "commit.form", "commit.tokens".
uint64_t check_commits(const Files& files, const std::map<uint64_t, Hash>& tokens, Report& report);

}  // namespace fieldprint::verify
