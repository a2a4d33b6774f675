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

// A kind cannot be chosen: the projections were trained for one.
void check_attention(const Hyperparameters& hp, std::string_view wanted) {
  if (wanted.empty()) return;
  if (find_attention_kind(wanted) == nullptr) {
    std::string all;
    for (const AttentionKind& kind : attention_kinds()) all += fmt::format("{}{}", all.empty() ? "" : ", ", kind.name);
    throw Error(ErrorKind::kUsage, fmt::format("there is no attention of kind '{}'", wanted), "--attention-kind",
                "one of: " + all);
  }
  for (size_t i = 0; i < hp.attention.size(); ++i) {
    if (hp.attention[i] == nullptr || hp.attention[i]->name == wanted) continue;
    throw Error(
        ErrorKind::kUsage,
        fmt::format("layer {} of the model was trained to attend by {}: under {} its weights would mean nothing", i,
                    hp.attention[i]->name, wanted),
        "--attention-kind", "leave the flag away; the file says which kind each layer is of");
  }
}

}  // namespace

std::span<const ArchitectureRow> architectures() { return kRows; }

std::unique_ptr<Architecture> load_architecture(const GgufFile& file, const ModelOverrides& overrides) {
  const std::string_view name = file.string("general.architecture");
  std::string known;
  for (const ArchitectureRow& row : kRows) {
    if (row.name == name) {
      auto architecture = row.load(file, overrides);
      check_attention(architecture->hyperparameters(), overrides.attention_kind);
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
