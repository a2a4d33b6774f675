#include <unordered_map>

#include "jinja/builtins.h"

namespace fieldprint::jinja {

FilterFunction find_filter(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, FilterFunction> all;
    for (const auto& filters : {text_filters(), number_filters(), sequence_filters()}) {
      for (const auto& [filter, function] : filters) all[filter] = function;
    }
    return all;
  }();
  const auto entry = table.find(name);
  return entry == table.end() ? nullptr : entry->second;
}

}  // namespace fieldprint::jinja
