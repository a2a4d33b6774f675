// The tables behind unicode.h: runs of code points above ASCII, sorted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace fieldprint::jinja {

struct CodePointRun {
  uint32_t first, last, step;
};
struct CaseRun {
  uint32_t first, last, step;
  int32_t delta;
};
struct CaseExpansion {
  uint32_t from;
  const char* to;  // UTF-8
};

extern const CodePointRun kAlphaRuns[], kDecimalRuns[], kDigitRuns[], kNumericRuns[], kNumericAlphaRuns[], kLowerRuns[],
    kUpperRuns[], kUnprintableRuns[];
extern const size_t kAlphaRunCount, kDecimalRunCount, kDigitRunCount, kNumericRunCount, kNumericAlphaRunCount,
    kLowerRunCount, kUpperRunCount, kUnprintableRunCount;
extern const CaseRun kToUpperRuns[], kToLowerRuns[];
extern const size_t kToUpperRunCount, kToLowerRunCount;
extern const CaseExpansion kUpperExpansions[], kTitleExceptions[], kFoldExceptions[];
extern const size_t kUpperExpansionCount, kTitleExceptionCount, kFoldExceptionCount;

}  // namespace fieldprint::jinja
