#include "kernels/select.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "base/cpu.h"
#include "fieldprint/error.h"

namespace fieldprint {

namespace scalar {
void override_slots(KernelTable&);
}
namespace avx2 {
void override_slots(KernelTable&);
}
namespace avx512 {
void override_slots(KernelTable&);
}

namespace {

constexpr IsaRow kRows[] = {
    {"scalar", [] { return true; }, scalar::override_slots},
#if !defined(FIELDPRINT_SCALAR_ONLY)
    {"avx2", [] { return cpu_features().avx2; }, avx2::override_slots},
#if defined(FIELDPRINT_EMULATE_AVX512)
    {"avx512", [] { return cpu_features().avx2; }, avx512::override_slots},
#else
    {"avx512", [] { return cpu_features().avx512; }, avx512::override_slots},
#endif
#endif
};

constexpr size_t kRowCount = std::size(kRows);

const std::array<KernelTable, kRowCount>& tables() {
  static const auto all = [] {
    std::array<KernelTable, kRowCount> tables;
    KernelTable table;
    for (size_t i = 0; i < kRowCount; ++i) {
      if (!kRows[i].supported()) continue;  // even filling in a table is that instruction set's code
      kRows[i].override_slots(table);
      table.name = kRows[i].name.data();
      tables[i] = table;
    }
    return tables;
  }();
  return all;
}

}  // namespace

std::span<const IsaRow> isa_rows() { return kRows; }

const KernelTable& select_kernels(std::string_view name) {
  std::string origin = "--isa";
  if (name.empty()) {
    if (const char* forced = std::getenv("FIELDPRINT_ISA"); forced != nullptr && *forced != '\0') {
      name = forced;
      origin = "FIELDPRINT_ISA";
    }
  }
  std::string known;
  for (size_t i = kRowCount; i-- > 0;) {
    if (name.empty() ? kRows[i].supported() : kRows[i].name == name) {
      if (!kRows[i].supported()) {
        throw Error(ErrorKind::kUnsupported, fmt::format("this CPU has no {}", name), origin,
                    "leave it away to get the best kernels this CPU has");
      }
      return tables()[i];
    }
    known = fmt::format("{}{}{}", kRows[i].name, known.empty() ? "" : ", ", known);
  }
  throw Error(ErrorKind::kUsage, fmt::format("unknown instruction set '{}'", name), origin, "one of: " + known);
}

void matmul_decoded(const KernelTable& kernels, const QuantType& type, const Matmul& args) {
  // Whole rows, as many as stay in a second-level cache; the F32 kernel may use the other half of the scratch.
  const int64_t row_floats = args.k;
  const int batch = std::max(1, kMaxRow / args.k);
  static_assert(kMaxRow * sizeof(float) <= kScratchBytes / 2);
  auto* rows = reinterpret_cast<float*>(args.scratch + kScratchBytes / 2);
  Matmul part = args;
  part.weights = reinterpret_cast<const std::byte*>(rows);
  part.row_bytes = row_floats * static_cast<int64_t>(sizeof(float));
  for (int begin = args.row_begin; begin < args.row_end; begin += batch) {
    const int count = std::min(batch, args.row_end - begin);
    for (int r = 0; r < count; ++r)
      type.decode(args.weights + (begin + r) * args.row_bytes, rows + r * row_floats, row_floats);
    part.row_begin = 0;
    part.row_end = count;
    part.y = args.y + begin;
    kernels.matmul[kSlotF32](part);
  }
}

bool wants_quantized(const KernelTable& kernels, const QuantType& type) {
  return type.block_elements >= kActivationBlock && type.ggml_id < kMaxGgmlTypes &&
         kernels.matmul[type.ggml_id] != nullptr;
}

}  // namespace fieldprint
