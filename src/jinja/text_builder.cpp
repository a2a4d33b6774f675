#include "jinja/text_builder.h"

#include <cstring>

namespace fieldprint::jinja {
namespace {

// A copy of `text` whose bytes are of the origins that `runs` say, `offset` bytes further on.
Value make_mixed(Heap& heap, std::string_view text, std::span<const OriginRun> runs, size_t offset, bool markup) {
  String* string = heap.make<String>(make_string(heap, text, markup).str());
  if (runs.empty()) {
    string->origin = Origin::kTemplate;  // an empty text is nobody's
  } else if (runs.size() == 1) {
    string->origin = runs[0].origin;
  } else {
    Origins* origins = heap.make<Origins>(string->data, std::pmr::vector<OriginRun>(&heap));
    for (const OriginRun& run : runs) origins->runs.push_back({run.end - offset, run.origin});
    string->origins = origins;
  }
  return string;
}

}  // namespace

void TextBuilder::add(std::string_view text, Origin origin) {
  if (text.empty()) return;
  text_ += text;
  if (!runs_.empty() && runs_.back().origin == origin) {
    runs_.back().end = text_.size();
    return;
  }
  heap_.charge(sizeof(OriginRun));
  runs_.push_back({text_.size(), origin});
}

void TextBuilder::add(const String& text, size_t from, size_t size) {
  each_origin(text, from, size,
              [&](size_t begin, size_t count, Origin origin) { add(text.view().substr(begin, count), origin); });
}

Value TextBuilder::cut(size_t mark, bool markup) {
  size_t first = runs_.size();
  while (first > 0 && runs_[first - 1].end > mark) --first;
  const Value text =
      make_mixed(heap_, std::string_view(text_).substr(mark), std::span(runs_).subspan(first), mark, markup);
  text_.resize(mark);
  const size_t begin = first == 0 ? 0 : runs_[first - 1].end;  // of the first of these runs: it may be before the mark
  if (begin < mark) runs_[first++].end = mark;
  runs_.resize(first);
  return text;
}

Value derived_string(Heap& heap, const String& from, std::string_view text, bool markup) {
  String* string = heap.make<String>(make_string(heap, text, markup).str());
  if (from.origins == nullptr) {
    string->origin = from.origin;
  } else if (text.size() == from.size) {
    TextBuilder builder(heap);
    each_origin(from, 0, from.size,
                [&](size_t begin, size_t count, Origin origin) { builder.add(text.substr(begin, count), origin); });
    return builder.finish(markup);
  }
  return string;
}

}  // namespace fieldprint::jinja
