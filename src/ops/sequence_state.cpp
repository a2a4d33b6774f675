#include "ops/sequence_state.h"

#include <fmt/format.h>

#include "fieldprint/error.h"

namespace fieldprint {

void SequenceState::refuse(std::string_view what) const {
  throw Error(ErrorKind::kUnsupported, fmt::format("the {} executor {}", executor_, what), {}, "the run executor can");
}

}  // namespace fieldprint
