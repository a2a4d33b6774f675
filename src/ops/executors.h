// The table of executors: whoever runs a model asks for one by name and then does not ask which it is.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/thread_pool.h"
#include "kernels/table.h"
#include "kv/layout.h"
#include "ops/executor.h"

namespace fieldprint {

// What any of them may want to know. `kernels` and `pool` outlive the executor.
struct ExecutorSetup {
  const KernelTable& kernels;
  ThreadPool& pool;
  std::span<const KvLayerShape> layers;
  int page_size = 64;
  std::string_view kv_type = "f16";
};

struct ExecutorRow {
  std::string_view name;
  std::unique_ptr<Executor> (*make)(const ExecutorSetup& setup);
};
std::span<const ExecutorRow> executors();

// Throws Error kUsage for an unknown name or type of keys and values; kUnsupported for a type that the layers cannot
// have.
std::unique_ptr<Executor> make_executor(std::string_view name, const ExecutorSetup& setup);

}  // namespace fieldprint
