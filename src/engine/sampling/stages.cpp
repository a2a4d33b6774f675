#include <fmt/format.h>

#include "engine/sampling/stage.h"
#include "fieldprint/error.h"

namespace fieldprint {

#define SAMPLER_STAGE(name) SamplerStageRow name##_stage();
#include "engine/sampling/stages.def"
#undef SAMPLER_STAGE

std::span<const SamplerStageRow> sampler_stages() {
  static const SamplerStageRow rows[] = {
#define SAMPLER_STAGE(name) name##_stage(),
#include "engine/sampling/stages.def"
#undef SAMPLER_STAGE
  };
  return rows;
}

void require_sampling(bool ok, std::string_view what, float value, std::string_view range) {
  if (!ok) throw Error(ErrorKind::kUsage, fmt::format("{} is {}, expected {}", what, value, range));
}

}  // namespace fieldprint
