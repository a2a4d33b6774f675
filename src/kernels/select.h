// Which kernels run on this machine.
#pragma once

#include <span>
#include <string_view>

#include "kernels/table.h"
#include "quant/type.h"

namespace fieldprint {

struct IsaRow {
  std::string_view name;
  bool (*supported)();
  void (*override_slots)(KernelTable&);
};

std::span<const IsaRow> isa_rows();  // from the plainest to the best

// The table of ISA `name`; "" = $FIELDPRINT_ISA, else the best supported. Throws Error kUsage for an unknown name,
// kUnsupported for one this CPU (or this build) does not have.
const KernelTable& select_kernels(std::string_view name);

// Runs any type: decodes rows to f32 in scratch and multiplies by the table's F32 kernel.
void matmul_decoded(const KernelTable& kernels, const QuantType& type, const Matmul& args);

// True where `type` has a kernel that takes quantised activations: any but the floats.
bool wants_quantized(const KernelTable& kernels, const QuantType& type);

}  // namespace fieldprint
