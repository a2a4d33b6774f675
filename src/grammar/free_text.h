// Free text up to a mark, or with marks in it behind which a rule begins: the automaton of Aho and Corasick (1975).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "grammar/program.h"

namespace fieldprint {

// Appends at `from`: any bytes up to the first `mark`, and that. Returns the node behind. The mark is not empty.
NodeId append_until(Program& program, NodeId from, std::string_view mark);

// Appends at `from`: any bytes, in which each mark is followed by a text of its rule, then by such text again. May end
// wherever no rule is open. Marks are not empty; of those that end at one place the longest counts.
NodeId append_with_marks(Program& program, NodeId from, std::span<const std::pair<std::string, RuleId>> marks);

}  // namespace fieldprint
