// The filter `wordwrap`: what Jinja makes with Python's textwrap.wrap, paragraph by paragraph.
// https://docs.python.org/3/library/textwrap.html
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/text.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

// A piece of a line that is not cut, unless it is longer than a whole line: a word, a part of one, or white space.
struct Chunk {
  std::string_view text;
  int64_t length;  // code points
};

bool is_gap(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }  // textwrap knows no other white space

// The code points before and behind a place, 0 where there is none.
class Around {
 public:
  explicit Around(std::string_view text) : text_(text) {}
  uint32_t before(size_t at, int n = 1) const {
    uint32_t c = 0;
    for (; n > 0; --n) {
      if (at == 0) return 0;
      c = decode_before(text_, at);
    }
    return c;
  }
  uint32_t behind(size_t at) const { return at < text_.size() ? decode_at(text_, at) : 0; }

 private:
  std::string_view text_;
};

bool is_letter(uint32_t c) { return c != 0 && is_word(c) && !is_decimal(c); }
// What may stand before a dash between words.
bool is_word_end(uint32_t c) {
  return c != 0 &&
         (is_word(c) || (c < 128 && std::string_view("!\"'&.,?").find(static_cast<char>(c)) != std::string_view::npos));
}

// How many dashes stand at a place, where they are a dash between words: two or more, and a word behind them; else 0.
size_t dashes_before_word(const Around& around, std::string_view text, size_t at) {
  const size_t end = std::min(text.find_first_not_of('-', at), text.size());
  const uint32_t next = around.behind(end);
  return end - at >= 2 && next != 0 && is_word(next) ? end - at : 0;
}

// A hyphen at `at` between letters, as in goof-ball: two stand before it (or one behind another hyphen's letter), and
// two behind it, perhaps with one more hyphen between them.
bool is_soft_hyphen(const Around& around, std::string_view text, size_t at) {
  if (text[at] != '-' || !is_letter(around.before(at))) return false;
  const bool two = is_letter(around.before(at, 2));
  const bool hyphenated = around.before(at, 2) == '-' && is_letter(around.before(at, 3));
  size_t next = at + 1;
  if ((!two && !hyphenated) || next >= text.size() || !is_letter(decode_at(text, next))) return false;
  if (next < text.size() && text[next] == '-') ++next;
  return is_letter(around.behind(next));
}

void split_chunks(std::string_view text, bool at_hyphens, std::deque<Chunk>& chunks) {
  const Around around(text);
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    if (is_gap(text[begin])) {
      while (end < text.size() && is_gap(text[end])) ++end;
    } else if (const size_t dashes = at_hyphens && text[begin] == '-' && is_word_end(around.before(begin))
                                         ? dashes_before_word(around, text, begin)
                                         : 0) {
      end += dashes;
    } else {
      end = advance_code_points(text, begin, 1);
      while (end < text.size() && !is_gap(text[end])) {
        if (at_hyphens && text[end] == '-') {
          if (is_soft_hyphen(around, text, end)) {
            ++end;
            break;
          }
          if (is_word_end(around.before(end)) && dashes_before_word(around, text, end) > 0) break;
        }
        end = advance_code_points(text, end, 1);
      }
    }
    const std::string_view piece = text.substr(begin, end - begin);
    chunks.push_back({piece, static_cast<int64_t>(count_code_points(piece))});
    begin = end;
  }
}

bool is_blank(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    if (!is_space(decode_at(text, pos))) return false;
  }
  return true;
}

struct Wrapping {
  int64_t width;
  bool break_long_words, break_on_hyphens, split_at_hyphens;
};

// One paragraph; calls line(text) for each of its lines.
template <class Line>
void wrap(Heap& heap, std::string_view text, const Wrapping& how, Line&& line) {
  heap.step(text.size() / 4);
  std::deque<Chunk> chunks;
  split_chunks(text, how.split_at_hyphens, chunks);
  bool any = false;
  while (!chunks.empty()) {
    heap.step();
    std::vector<Chunk> current;
    int64_t length = 0;
    if (any && is_blank(chunks.front().text)) chunks.pop_front();
    while (!chunks.empty() && length + chunks.front().length <= how.width) {
      length += chunks.front().length;
      current.push_back(chunks.front());
      chunks.pop_front();
    }
    if (!chunks.empty() && chunks.front().length > how.width) {
      Chunk& word = chunks.front();
      if (how.break_long_words) {
        size_t cut = advance_code_points(word.text, 0, static_cast<size_t>(how.width - length));
        if (how.break_on_hyphens) {  // behind the last hyphen, where something else stands before it
          const size_t hyphen = word.text.substr(0, cut).rfind('-');
          if (hyphen != word.text.npos && word.text.substr(0, hyphen).find_first_not_of('-') != word.text.npos)
            cut = hyphen + 1;
        }
        heap.walk(cut);
        const auto taken = static_cast<int64_t>(count_code_points(word.text.substr(0, cut)));
        current.push_back({word.text.substr(0, cut), taken});
        word = {word.text.substr(cut), word.length - taken};
      } else if (current.empty()) {
        current.push_back(word);
        chunks.pop_front();
      }
    }
    if (!current.empty() && is_blank(current.back().text)) current.pop_back();
    if (current.empty()) continue;
    std::string joined;
    for (const Chunk& chunk : current) joined += chunk.text;
    line(joined);
    any = true;
  }
}

}  // namespace

Value wordwrap(Runtime& rt, Value subject, const Args& args) {
  const auto [width, long_words, separator, hyphens] =
      bind("do_wordwrap", args, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  Heap& heap = rt.heap;
  if (subject.is_undefined()) fail_undefined(heap, subject);
  if (!subject.is_string()) fail(fmt::format("'{}' object has no attribute 'splitlines'", type_name(subject)));
  const bool by_itself = separator.is_missing() || separator.is_none();
  if (!by_itself && !separator.is_string())
    fail(fmt::format("'{}' object has no attribute 'join'", type_name(separator)));
  const std::string_view between = by_itself ? "\n" : separator.str().view();
  Wrapping how;
  how.width = width.is_missing() ? 79 : to_index(width);
  how.break_long_words = long_words.is_missing() || truthy(long_words);
  how.break_on_hyphens = hyphens.is_missing() || truthy(hyphens);
  how.split_at_hyphens = hyphens.is_missing() || (hyphens.is(Kind::kBool) && hyphens.as_bool());
  std::string out;
  const auto add = [&](std::string_view text) {
    out += text;
    heap.scan(text.size());
    if (out.size() > heap.bytes_left()) heap.charge(out.size());
  };
  bool first_paragraph = true;
  for (const Value& paragraph : split_lines(heap, subject.str(), false)) {
    heap.step();
    if (how.width <= 0) fail(fmt::format("invalid width {} (must be > 0)", how.width));
    if (!std::exchange(first_paragraph, false)) add(between);
    bool first_line = true;
    wrap(heap, paragraph.str().view(), how, [&](std::string_view line) {
      if (!std::exchange(first_line, false)) add(between);
      add(line);
    });
  }
  return make_string(heap, out);
}

}  // namespace fieldprint::jinja
