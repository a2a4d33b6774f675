#include "text/regex_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cassert>
#include <cstdint>

#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint {

struct RegexSplitter::Pattern {
  pcre2_code* code = nullptr;

  ~Pattern() { pcre2_code_free(code); }
};

namespace {

struct Matcher {  // what PCRE2 needs for one thread; cheap to make, as the JIT's stack is only taken on demand
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 * 1024, 8 * 1024 * 1024, nullptr);

  explicit Matcher(const pcre2_code* code) : data(pcre2_match_data_create_from_pattern(code, nullptr)) {
    // Bounded by the text, so no text may run into them.
    pcre2_set_match_limit(context, UINT32_MAX);
    pcre2_set_depth_limit(context, UINT32_MAX);
    pcre2_set_heap_limit(context, UINT32_MAX);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Matcher() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // The next match of `code` in `text` from `from` on; false where there is none.
  bool find(const pcre2_code* code, std::string_view text, size_t from, size_t& begin, size_t& end) {
    const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found = pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
    }
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0)
      throw Error(ErrorKind::kLimit, "the text cannot be split into words: PCRE2 error " + std::to_string(found));
    begin = pcre2_get_ovector_pointer(data)[0];
    end = pcre2_get_ovector_pointer(data)[1];
    return true;
  }
};

// PCRE2 counts U+180E as white space, which it has not been since Unicode 6.3.
std::string spell_out_space(std::string_view pattern) {
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (c == '\\' && next == 's') {
      result += in_class ? "\\t-\\r\\x{85}\\p{Z}" : "[\\t-\\r\\x{85}\\p{Z}]", ++i;
    } else if (c == '\\' && next == 'S') {
      assert(!in_class);
      result += "[^\\t-\\r\\x{85}\\p{Z}]", ++i;
    } else if (c == '\\') {
      result += c, result += next, ++i;
    } else {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      result += c;
    }
  }
  return result;
}

// PCRE2 wants UTF-8: a byte that belongs to no character becomes U+0001, a symbol of the same length.
bool mend(std::string_view text, std::string& mended) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (c.broken()) {
      if (mended.empty()) mended = text;
      mended[at] = '\x01';
    }
    at += c.length;
  }
  return !mended.empty();
}

}  // namespace

RegexSplitter::RegexSplitter(std::span<const std::string_view> patterns) {
  for (const std::string_view pattern : patterns) {
    const std::string spelled = spell_out_space(pattern);
    int error = 0;
    size_t offset = 0;
    auto compiled = std::make_unique<Pattern>();
    compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(), PCRE2_UTF | PCRE2_UCP,
                                   &error, &offset, nullptr);
    assert(compiled->code != nullptr);
    pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE);  // where there is no JIT, the interpreter does the same
    patterns_.push_back(std::move(compiled));
  }
}

RegexSplitter::~RegexSplitter() = default;

void RegexSplitter::split(std::string_view text, std::vector<size_t>& ends) const {
  if (text.empty()) return;
  std::string mended;
  if (mend(text, mended)) text = mended;

  std::vector<size_t> pieces = {text.size()}, next;
  for (const auto& pattern : patterns_) {
    Matcher matcher(pattern->code);
    next.clear();
    size_t start = 0;
    for (const size_t stop : pieces) {
      const std::string_view piece = text.substr(start, stop - start);
      size_t done = 0, begin = 0, end = 0;
      while (done < piece.size() && matcher.find(pattern->code, piece, done, begin, end)) {
        if (end == begin) break;  // none of our patterns matches nothing
        if (begin > done) next.push_back(start + begin);
        next.push_back(start + end);
        done = end;
      }
      if (done < piece.size()) next.push_back(stop);
      start = stop;
    }
    pieces.swap(next);
  }
  ends.insert(ends.end(), pieces.begin(), pieces.end());
}

}  // namespace fieldprint
