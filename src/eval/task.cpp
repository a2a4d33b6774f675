#include "eval/task.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint {

// Each row's function: std::vector<EvalTask> arc_tasks().
#define EVAL_TASKS(name) std::vector<EvalTask> name##_tasks();
#include "eval/tasks.def"
#undef EVAL_TASKS

std::span<const EvalTask> eval_tasks() {
  static const std::vector<EvalTask> all = [] {
    std::vector<EvalTask> tasks;
    const auto add = [&](std::vector<EvalTask> some) {
      for (EvalTask& task : some) tasks.push_back(std::move(task));
    };
#define EVAL_TASKS(name) add(name##_tasks());
#include "eval/tasks.def"
#undef EVAL_TASKS
    return tasks;
  }();
  return all;
}

std::vector<const EvalTask*> find_eval_tasks(std::string_view name) {
  std::vector<const EvalTask*> found;
  for (const EvalTask& task : eval_tasks())
    if (task.name == name || (!task.group.empty() && task.group == name)) found.push_back(&task);
  if (!found.empty()) return found;
  std::string known;
  for (const EvalTask& task : eval_tasks()) {
    const std::string& shown = task.group.empty() ? task.name : task.group;
    if (known.ends_with(shown)) continue;  // a group's tasks stand together
    known += (known.empty() ? "" : ", ") + shown;
  }
  throw Error(ErrorKind::kUsage, fmt::format("there is no task '{}'", name), "--tasks", "known are " + known);
}

}  // namespace fieldprint
