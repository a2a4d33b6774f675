#include "memory/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace fieldprint::cli {

namespace {

struct Line {
  char mark;  // ' ', '-' or '+'
  std::string_view text;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

constexpr size_t kTableMost = size_t{1} << 24;
constexpr size_t kContext = 3;

// By the longest common subsequence of what lies between the common beginning and the common end; where that would take
// too large a table, all of it goes and all of it comes.
std::vector<Line> compare(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  std::vector<Line> lines;
  size_t begin = 0, end_a = a.size(), end_b = b.size();
  while (begin < end_a && begin < end_b && a[begin] == b[begin]) lines.push_back({' ', a[begin++]});
  while (end_a > begin && end_b > begin && a[end_a - 1] == b[end_b - 1]) --end_a, --end_b;
  const size_t rows = end_a - begin, columns = end_b - begin, width = columns + 1;
  std::vector<uint32_t> length;  // of the longest from (i, j) on
  if ((rows + 1) * width <= kTableMost) {
    length.assign((rows + 1) * width, 0);
    for (size_t i = rows; i-- > 0;) {
      for (size_t j = columns; j-- > 0;) {
        length[i * width + j] = a[begin + i] == b[begin + j]
                                    ? length[(i + 1) * width + j + 1] + 1
                                    : std::max(length[(i + 1) * width + j], length[i * width + j + 1]);
      }
    }
  }
  size_t i = 0, j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && !length.empty() && a[begin + i] == b[begin + j]) {
      lines.push_back({' ', a[begin + i]});
      ++i, ++j;
    } else if (i < rows &&
               (j == columns || length.empty() || length[(i + 1) * width + j] >= length[i * width + j + 1])) {
      lines.push_back({'-', a[begin + i++]});
    } else {
      lines.push_back({'+', b[begin + j++]});
    }
  }
  for (size_t k = end_a; k < a.size(); ++k) lines.push_back({' ', a[k]});
  return lines;
}

}  // namespace

std::string unified_diff(const std::string& path, const std::string& before, const std::string& after) {
  if (before == after) return {};
  const std::vector<std::string_view> old_lines = lines_of(before), new_lines = lines_of(after);
  const std::vector<Line> lines = compare(old_lines, new_lines);
  std::string out = fmt::format("--- {}\n+++ {}\n", before.empty() ? "/dev/null" : path, path);
  size_t old_at = 1, new_at = 1;
  for (size_t i = 0; i < lines.size();) {
    const auto changed = [](const Line& line) { return line.mark != ' '; };
    const size_t next = static_cast<size_t>(
        std::find_if(lines.begin() + static_cast<std::ptrdiff_t>(i), lines.end(), changed) - lines.begin());
    if (next == lines.size()) break;
    const size_t begin = std::max(i, next - std::min(next, kContext));
    old_at += begin - i, new_at += begin - i;
    size_t end = next, same = 0;  // behind the hunk: where twice the context holds no change
    for (size_t k = next; k < lines.size() && same < 2 * kContext; ++k) {
      same = changed(lines[k]) ? 0 : same + 1;
      if (same == 0) end = k + 1;
    }
    end = std::min(end + kContext, lines.size());
    size_t old_count = 0, new_count = 0;
    std::string body;
    for (size_t k = begin; k < end; ++k) {
      old_count += lines[k].mark != '+';
      new_count += lines[k].mark != '-';
      body += fmt::format("{}{}\n", lines[k].mark, lines[k].text);
    }
    out += fmt::format("@@ -{},{} +{},{} @@\n{}", old_count == 0 ? old_at - 1 : old_at, old_count,
                       new_count == 0 ? new_at - 1 : new_at, new_count, body);
    old_at += old_count, new_at += new_count;
    i = end;
  }
  return out;
}

}  // namespace fieldprint::cli
