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

// Quantises one row of activations, n a multiple of 32: all blocks in 8 bits, and those whose step is coarse beside the
// row's (step^2 above the mean of step^2: the blocks with outliers) in 16. In SmolLM2 that is about a block in six, and
// takes four fifths of the squared error away (docs/decisions/0004-fine-activation-blocks.md). The same bits on every
// ISA.
struct QuantizedRow {
  int8_t* q;
  int8_t* q_low;
  float* d;
  int32_t* sum;
  uint8_t* fine;
  int16_t* parts;
  int16_t* parts_low;
};
void quantize_activations(const KernelTable& kernels, const float* x, int n, const QuantizedRow& out);

// Runs any type: decodes rows to f32 in scratch and multiplies by the table's F32 kernel.
void matmul_decoded(const KernelTable& kernels, const QuantType& type, const Matmul& args);

// True where `type` has a kernel that takes quantised activations: any but the floats.
bool wants_quantized(const KernelTable& kernels, const QuantType& type);

}  // namespace fieldprint
