#include <fmt/format.h>

#include "fieldprint/error.h"
#include "models/architecture.h"

namespace fieldprint {

std::unique_ptr<Architecture> load_llama(const GgufFile& file, const ModelOverrides& overrides);
std::unique_ptr<Architecture> load_lfm2(const GgufFile& file, const ModelOverrides& overrides);

namespace {

constexpr ArchitectureRow kRows[] = {
    {"llama", load_llama},
    {"lfm2", load_lfm2},
    {"lfm2moe", load_lfm2},
};

}  // namespace

std::span<const ArchitectureRow> architectures() { return kRows; }

std::unique_ptr<Architecture> load_architecture(const GgufFile& file, const ModelOverrides& overrides) {
  const std::string_view name = file.string("general.architecture");
  std::string known;
  for (const ArchitectureRow& row : kRows) {
    if (row.name == name) {
      auto architecture = row.load(file, overrides);
      const int experts = architecture->hyperparameters().experts;
      if (overrides.experts > experts) {
        throw Error(
            ErrorKind::kUsage, fmt::format("{} active experts asked for, the model has {}", overrides.experts, experts),
            "--experts",
            experts == 0 ? "it is no mixture of experts: leave the flag away" : fmt::format("1 to {}", experts));
      }
      return architecture;
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  throw Error(ErrorKind::kUnsupported, fmt::format("models of architecture '{}' are not supported", name), file.path(),
              "supported: " + known);
}

}  // namespace fieldprint
