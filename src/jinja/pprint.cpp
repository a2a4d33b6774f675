// The filter `pprint`: Python's pprint.pformat, 80 columns wide, dicts sorted by their keys.
// https://docs.python.org/3/library/pprint.html
#include <fmt/format.h>

#include <algorithm>

#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/text.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

constexpr int64_t kWidth = 80;

class Printer {
 public:
  explicit Printer(Heap& heap) : heap_(heap) {}

  std::string out;

  // `indent`: the column where the value begins; `allowance`: what must fit behind its last line.
  void print(Value value, int64_t indent, int64_t allowance, int level) {
    const Nesting nesting(heap_);
    std::string text;
    append(text, value);
    if (static_cast<int64_t>(count_code_points(text)) > kWidth - indent - allowance) {
      if (value.is(Kind::kDict)) return print_dict(value.dict(), indent, allowance);
      if (value.is(Kind::kList)) return print_items('[', "]", value.items().span(), indent, allowance);
      if (value.is(Kind::kTuple) && !value.items().is_group)
        return print_items('(', value.items().size == 1 ? ",)" : ")", value.items().span(), indent, allowance);
      if (value.is_string() && !value.str().markup) return print_string(value.str(), text, indent, allowance, level);
    }
    write(text);
  }

 private:
  void write(std::string_view text) {
    heap_.scan(text.size());
    out += text;
    if (out.size() > heap_.bytes_left()) heap_.charge(out.size());
  }
  void new_line(int64_t indent) {
    write("\n");
    write(std::string(static_cast<size_t>(indent), ' '));
  }

  // As repr, but with sorted dicts.
  void append(std::string& text, Value value) {
    const Nesting nesting(heap_);
    heap_.step();
    if (text.size() > heap_.bytes_left()) heap_.charge(text.size());
    if (value.is(Kind::kDict)) {
      text += '{';
      for (const Dict::Entry& entry : sorted(value.dict())) {
        if (text.back() != '{') text += ", ";
        append(text, entry.key);
        text += ": ";
        append(text, entry.value);
      }
      text += '}';
    } else if (value.is_sequence() && !(value.is(Kind::kTuple) && value.items().is_group)) {
      text += value.is(Kind::kList) ? '[' : '(';
      bool first = true;
      for (const Value& item : value.items().span()) {
        if (!std::exchange(first, false)) text += ", ";
        append(text, item);
      }
      text += value.is(Kind::kList) ? "]" : value.items().size == 1 ? ",)" : ")";
    } else {
      text += to_repr(heap_, value).view();
    }
  }

  // What has no order among itself is ordered by its type.
  std::vector<Dict::Entry> sorted(const Dict& dict) {
    std::vector<Dict::Entry> entries(dict.entries.begin(), dict.entries.end());
    heap_.step(entries.size());
    const auto type = [](Value key) { return fmt::format("<class '{}'>", type_name(key)); };
    std::stable_sort(entries.begin(), entries.end(), [&](const Dict::Entry& a, const Dict::Entry& b) {
      heap_.step();
      const bool comparable = (a.key.is_number() && b.key.is_number()) || (a.key.is_string() && b.key.is_string()) ||
                              (a.key.is(Kind::kTuple) && b.key.is(Kind::kTuple));
      if (!comparable) return type(a.key) < type(b.key);
      try {
        return compare(heap_, CompareOp::kLt, a.key, b.key);
      } catch (const Failure&) {  // tuples of this and that
        return false;
      }
    });
    return entries;
  }

  void print_dict(const Dict& dict, int64_t indent, int64_t allowance) {
    write("{");
    ++indent;
    const auto entries = sorted(dict);
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) {
        write(",");
        new_line(indent);
      }
      std::string key;
      append(key, entries[i].key);
      write(key);
      write(": ");
      print(entries[i].value, indent + static_cast<int64_t>(count_code_points(key)) + 2,
            i + 1 == entries.size() ? allowance + 1 : 1, 2);
    }
    write("}");
  }

  void print_items(char begin, std::string_view end, std::span<const Value> items, int64_t indent, int64_t allowance) {
    write({&begin, 1});
    ++indent;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) {
        write(",");
        new_line(indent);
      }
      print(items[i], indent, i + 1 == items.size() ? allowance + static_cast<int64_t>(end.size()) : 1, 2);
    }
    write(end);
  }

  std::string quoted(std::string_view text) {
    const String string{.data = text.data(), .size = text.size(), .code_points = count_code_points(text)};
    return repr(heap_, Value(&string));
  }
  int64_t quoted_length(std::string_view text) { return static_cast<int64_t>(count_code_points(quoted(text))); }

  // Line by line, long lines word by word, as literals side by side; in parentheses where it stands alone.
  void print_string(const String& string, const std::string& whole, int64_t indent, int64_t allowance, int level) {
    if (level == 0) ++indent, ++allowance;
    std::vector<std::string> pieces;
    const int64_t width = kWidth - indent;
    int64_t line_width = width;
    const auto lines = split_lines(heap_, string, true);
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string_view line = lines[i].str().view();
      const bool last_line = i + 1 == lines.size();
      if (last_line) line_width -= allowance;
      std::string text = quoted(line);
      if (static_cast<int64_t>(count_code_points(text)) <= line_width) {
        pieces.push_back(std::move(text));
        continue;
      }
      std::string current;
      int64_t most = width;
      for (size_t begin = 0; begin < line.size();) {
        size_t end = begin;
        for (bool space = false; end < line.size();) {  // a word and the white space behind it
          size_t next = end;
          const bool is = is_space(decode_at(line, next));
          if (space && !is) break;
          space = is;
          end = next;
        }
        const std::string_view part = line.substr(begin, end - begin);
        if (last_line && end == line.size()) most -= allowance;
        if (quoted_length(current + std::string(part)) > most) {
          if (!current.empty()) pieces.push_back(quoted(current));
          current = part;
        } else {
          current += part;
        }
        begin = end;
      }
      if (!current.empty()) pieces.push_back(quoted(current));
    }
    if (pieces.size() <= 1) return write(whole);
    if (level == 0) write("(");
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (i > 0) new_line(indent);
      write(pieces[i]);
    }
    if (level == 0) write(")");
  }

  Heap& heap_;
};

}  // namespace

Value pprint(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_pprint", args);
  Printer printer(rt.heap);
  printer.print(subject, 0, 0, 0);
  return make_string(rt.heap, printer.out);
}

}  // namespace fieldprint::jinja
