// Text put together from pieces that remember where they come from. A prompt's control tokens may stand in the
// template's own words alone, so that every string knows of each of its bytes whether it came in with the variables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace fieldprint::jinja {

class TextBuilder {
 public:
  explicit TextBuilder(Heap& heap) : heap_(heap) {}

  void add(std::string_view text, Origin origin);
  void literal(std::string_view text) { add(text, Origin::kTemplate); }
  void add(const String& text) { add(text, 0, text.size); }
  void add(const String& text, size_t from, size_t size);  // some of its bytes

  std::string_view view() const { return text_; }
  const std::vector<OriginRun>& runs() const { return runs_; }  // each ends where the next begins; none is empty
  size_t size() const { return text_.size(); }

  Value finish(bool markup = false) { return cut(0, markup); }
  Value cut(size_t mark, bool markup = false);  // what has been added since size() was `mark`, taken off the end

 private:
  Heap& heap_;
  std::string text_;
  std::vector<OriginRun> runs_;
};

// `text` made of `from` in a way that is not followed byte by byte (a change of case, say): where the bytes of `from`
// are of one origin those of the result are too; where they are not and sizes differ, all of it counts as content.
Value derived_string(Heap& heap, const String& from, std::string_view text, bool markup);

}  // namespace fieldprint::jinja
