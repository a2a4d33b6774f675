#include "ops/executors.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "fieldprint/error.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

std::vector<KvLayerShape> layers_of(const ExecutorSetup& setup) { return {setup.layers.begin(), setup.layers.end()}; }

constexpr ExecutorRow kRows[] = {
    {RunSequence::kExecutor,
     [](const ExecutorSetup& setup) -> std::unique_ptr<Executor> {
       return std::make_unique<RunExecutor>(setup.kernels, setup.pool,
                                            KvLayout(layers_of(setup), setup.page_size, kv_type(setup.kv_type)));
     }},
    {ReferenceSequence::kExecutor,
     [](const ExecutorSetup& setup) -> std::unique_ptr<Executor> {
       return std::make_unique<ReferenceExecutor>(setup.layers.size());
     }},
};

}  // namespace

std::span<const ExecutorRow> executors() { return kRows; }

std::unique_ptr<Executor> make_executor(std::string_view name, const ExecutorSetup& setup) {
  std::string known;
  for (const ExecutorRow& row : kRows) {
    if (row.name == name) return row.make(setup);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  throw Error(ErrorKind::kUsage, fmt::format("there is no executor '{}'", name), "--executor", "one of " + known);
}

}  // namespace fieldprint
