#include "suggest.h"

#include <algorithm>

namespace fieldprint::cli {

static size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view typed, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const auto& name : known) {
    size_t distance = edit_distance(typed, name);
    if (typed.size() >= 3 && name.starts_with(typed)) distance = 1;  // "--rep" for "--repetition-penalty"
    if (name.size() >= 4 && typed.starts_with(name)) distance = std::min<size_t>(distance, 2);  // "--temperature"
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known, std::string otherwise) {
  const std::string name = nearest(typed, known);
  return name.empty() ? otherwise : "did you mean " + name + "?";
}

}  // namespace fieldprint::cli
