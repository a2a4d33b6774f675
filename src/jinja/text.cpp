#include "jinja/text.h"

#include <algorithm>

#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

// A set of characters to strip.
class CharSet {
 public:
  explicit CharSet(const String* chars) : chars_(chars) {
    if (!chars) return;
    for (size_t pos = 0; pos < chars->size;) {
      const uint32_t c = decode_at(chars->view(), pos);
      if (c < 128) ascii_[c] = true;
      else others_.push_back(c);
    }
    std::sort(others_.begin(), others_.end());
  }
  bool has(uint32_t c) const {
    if (!chars_) return is_space(c);
    return c < 128 ? ascii_[c] : std::binary_search(others_.begin(), others_.end(), c);
  }

 private:
  const String* chars_;
  bool ascii_[128] = {};
  std::vector<uint32_t> others_;
};

// Knuth, Morris, Pratt 1977: how many items before `wanted` is complete, or npos.
template <class Iterator>
size_t search_linear(Iterator text, Iterator text_end, Iterator wanted, size_t size) {
  std::vector<uint32_t> border(size, 0);  // of each prefix: its longest proper prefix that is also its end
  for (size_t i = 1, k = 0; i < size; ++i) {
    while (k > 0 && wanted[i] != wanted[k]) k = border[k - 1];
    if (wanted[i] == wanted[k]) ++k;
    border[i] = static_cast<uint32_t>(k);
  }
  size_t matched = 0;
  for (Iterator at = text; at != text_end; ++at) {
    while (matched > 0 && *at != wanted[matched]) matched = border[matched - 1];
    if (*at == wanted[matched]) ++matched;
    if (matched == size) return static_cast<size_t>(at - text) + 1 - size;
  }
  return std::string_view::npos;
}

constexpr size_t kLongNeedle = 32;  // shorter ones cost little at each place, and the library's search is faster

using Pieces = std::pmr::vector<Value>;

void split_at_space(Heap& heap, const String& text, int64_t most, bool from_right, Pieces& pieces) {
  const std::string_view view = text.view();
  size_t begin = 0, end = view.size();
  const auto skip_left = [&] {
    while (begin < end) {
      size_t next = begin;
      if (!is_space(decode_at(view, next))) break;
      begin = next;
    }
  };
  const auto skip_right = [&] {
    while (end > begin) {
      size_t next = end;
      if (!is_space(decode_before(view, next))) break;
      end = next;
    }
  };
  for (;; --most) {
    if (from_right) skip_right();
    else skip_left();
    if (begin >= end) return;
    if (most == 0) {
      // Only the side that is cut loses its space: Python keeps the other one.
      const size_t from = from_right ? 0 : begin, to = from_right ? end : view.size();
      pieces.push_back(make_piece(heap, text, from, to - from));
      return;
    }
    heap.step();
    if (from_right) {
      size_t start = end;
      while (start > begin) {
        size_t next = start;
        if (is_space(decode_before(view, next))) break;
        start = next;
      }
      pieces.push_back(make_piece(heap, text, start, end - start));
      end = start;
    } else {
      size_t stop = begin;
      while (stop < end) {
        size_t next = stop;
        if (is_space(decode_at(view, next))) break;
        stop = next;
      }
      pieces.push_back(make_piece(heap, text, begin, stop - begin));
      begin = stop;
    }
  }
}

void split_at(Heap& heap, const String& text, std::string_view separator, int64_t most, bool from_right,
              Pieces& pieces) {
  const std::string_view view = text.view();
  if (from_right) {
    size_t end = view.size();
    for (; most != 0 && end >= separator.size(); --most) {
      const size_t at = rfind_text(heap, view.substr(0, end), separator);
      if (at == view.npos) break;
      heap.step();
      pieces.push_back(make_piece(heap, text, at + separator.size(), end - at - separator.size()));
      end = at;
    }
    pieces.push_back(make_piece(heap, text, 0, end));
    return;
  }
  size_t begin = 0;
  for (; most != 0; --most) {
    const size_t at = find_text(heap, view, separator, begin);
    if (at == view.npos) break;
    heap.step();
    pieces.push_back(make_piece(heap, text, begin, at - begin));
    begin = at + separator.size();
  }
  pieces.push_back(make_piece(heap, text, begin, view.size() - begin));
}

}  // namespace

Value strip(Heap& heap, const String& text, const String* chars, bool left, bool right) {
  if (chars) heap.walk(4 * chars->size);  // and sorted
  const CharSet set(chars);
  const std::string_view view = text.view();
  size_t begin = 0, end = view.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!set.has(decode_at(view, next))) break;
    begin = next;
  }
  while (right && end > begin) {
    size_t next = end;
    if (!set.has(decode_before(view, next))) break;
    end = next;
  }
  heap.walk(begin + view.size() - end);
  return make_piece(heap, text, begin, end - begin);
}

Value split(Heap& heap, const String& text, const String* separator, int64_t most, bool from_right) {
  if (!separator) heap.walk(text.size);
  Pieces pieces(&heap);
  if (separator) split_at(heap, text, separator->view(), most, from_right, pieces);
  else split_at_space(heap, text, most, from_right, pieces);
  if (from_right) std::reverse(pieces.begin(), pieces.end());
  return make_list(heap, pieces);
}

std::span<const Value> split_lines(Heap& heap, const String& text, bool keep_ends) {
  heap.walk(text.size);
  auto* lines = heap.make<Pieces>(&heap);
  const std::string_view view = text.view();
  size_t begin = 0;
  for (size_t pos = 0; pos < view.size();) {
    const size_t at = pos;
    const uint32_t c = decode_at(view, pos);
    if (!is_line_break(c)) continue;
    if (c == '\r' && pos < view.size() && view[pos] == '\n') ++pos;
    lines->push_back(make_piece(heap, text, begin, (keep_ends ? pos : at) - begin));
    begin = pos;
  }
  if (begin < view.size()) lines->push_back(make_piece(heap, text, begin, view.size() - begin));
  return *lines;
}

size_t find_text(Heap& heap, std::string_view text, std::string_view wanted, size_t from) {
  // What is found soon costs little, however long the text is.
  const auto found = [&](size_t at) {
    heap.step((at == text.npos ? text.size() - std::min(from, text.size()) : at - from + wanted.size()) / 16);
    return at;
  };
  if (wanted.size() <= kLongNeedle || wanted.size() > text.size()) return found(text.find(wanted, from));
  heap.walk(wanted.size());
  const size_t at = search_linear(text.begin() + from, text.end(), wanted.begin(), wanted.size());
  return found(at == text.npos ? at : from + at);
}

size_t rfind_text(Heap& heap, std::string_view text, std::string_view wanted) {
  const auto found = [&](size_t at) {
    heap.step((at == text.npos ? text.size() : text.size() - at) / 16);
    return at;
  };
  if (wanted.size() <= kLongNeedle || wanted.size() > text.size()) return found(text.rfind(wanted));
  heap.walk(wanted.size());
  const size_t at = search_linear(text.rbegin(), text.rend(), wanted.rbegin(), wanted.size());
  return found(at == text.npos ? at : text.size() - at - wanted.size());
}

size_t count_occurrences(Heap& heap, std::string_view text, std::string_view wanted) {
  size_t n = 0;
  for (size_t at = find_text(heap, text, wanted); at != text.npos;
       at = find_text(heap, text, wanted, at + wanted.size())) {
    heap.visit(8);
    ++n;
  }
  return n;
}

Value replace(Heap& heap, const String& text, std::string_view old, const String& fresh, int64_t most) {
  const std::string_view view = text.view();
  size_t n = old.empty() ? text.code_points + 1 : count_occurrences(heap, view, old);
  if (most >= 0) n = std::min(n, static_cast<size_t>(most));
  if (n == 0) return &text;
  heap.step(n / 4);
  heap.scan(text.size);
  if (fresh.size > 0 && n > heap.bytes_left() / fresh.size) heap.charge(UINT64_MAX);
  TextBuilder out(heap);
  size_t begin = 0;
  for (size_t i = 0; i < n; ++i) {
    if (old.empty()) {  // before every character, and at the end
      out.add(fresh);
      const size_t next = advance_code_points(view, begin, 1);
      out.add(text, begin, next - begin);
      begin = next;
      continue;
    }
    const size_t at = find_text(heap, view, old, begin);
    out.add(text, begin, at - begin);
    out.add(fresh);
    begin = at + old.size();
  }
  out.add(text, begin, view.size() - begin);
  heap.scan(out.size());
  return out.finish(text.markup);
}

Value join(Heap& heap, const String& separator, std::span<const Value> strings, bool markup) {
  if (strings.size() == 1) return as_markup(heap, strings[0].str(), markup);
  size_t size = 0;
  for (size_t i = 0; i < strings.size(); ++i) {
    heap.step();
    size += strings[i].str().size + (i > 0 ? separator.size : 0);
    if (size > heap.bytes_left()) heap.charge(size);
  }
  heap.scan(size);
  TextBuilder out(heap);
  for (size_t i = 0; i < strings.size(); ++i) {
    if (i > 0) out.add(separator);
    out.add(strings[i].str());
  }
  return out.finish(markup);
}

Value pad_text(Heap& heap, const String& text, int64_t width, const String& fill, char side) {
  const int64_t missing = width - static_cast<int64_t>(text.code_points);
  if (missing <= 0) return &text;
  if (static_cast<uint64_t>(missing) > heap.bytes_left() / fill.size) heap.charge(UINT64_MAX);
  heap.step(static_cast<uint64_t>(missing) / 16);
  // Where the margin is odd, the left side gets the extra one if the width is odd.
  const int64_t left = side == '<' ? 0 : side == '>' ? missing : missing / 2 + (missing & width & 1);
  TextBuilder out(heap);
  for (int64_t i = 0; i < left; ++i) out.add(fill);
  out.add(text);
  for (int64_t i = left; i < missing; ++i) out.add(fill);
  return out.finish(text.markup);
}

}  // namespace fieldprint::jinja
