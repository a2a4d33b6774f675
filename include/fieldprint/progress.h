// How long work reports itself. The library prints nothing; a caller that wants a progress bar passes a function.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace fieldprint {

// Called now and then, on the thread that called: `done` of `total` units (total 0 = unknown) of `what`, which lives
// during the call. Returning false asks for an orderly stop, which surfaces as an Error of kind kLimit.
using Progress = std::function<bool(std::string_view what, uint64_t done, uint64_t total)>;

}  // namespace fieldprint
