// How long work reports itself. Nothing below apps/ prints; a caller that wants a bar passes a function.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace fieldprint {

// Called now and then, on the thread that does the work: `done` of `total` units (total 0 = unknown) of `what`.
// Returning false asks for an orderly stop, which surfaces as an Error of kind kLimit.
using Progress = std::function<bool(std::string_view what, uint64_t done, uint64_t total)>;

}  // namespace fieldprint
