// Declares the functions of a list of slots: SlotFunction<decltype(KernelTable::rms_norm)> rms_norm;
#pragma once

#include "kernels/table.h"

namespace fieldprint {

template <class Pointer>
struct PointedTo;
template <class Function>
struct PointedTo<Function*> {
  using Type = Function;
};
template <class Pointer>
using SlotFunction = typename PointedTo<Pointer>::Type;

}  // namespace fieldprint
