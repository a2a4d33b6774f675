// The filter `urlize`: addresses in text become links.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <set>

#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/text.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

// Jinja's own expressions, since they say what an address is.
constexpr const char* kWeb =
    R"(^((https?://|www\.)(([\w%-]+\.)+)?([a-z]{2,63}|xn--[\w%]{2,59})|([\w%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)|)"
    R"((https?://)((([\d]{1,3})(\.[\d]{1,3}){3})|(\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}\])))(?::[\d]{1,5})?(?:[/?#]\S*)?$)";
constexpr const char* kMail = R"(^\S+@\w[\w.-]*\.\w+$)";
constexpr const char* kScheme = R"(^([\w.+-]{2,}:(/){0,2})$)";

class Expression {
 public:
  Expression(const char* pattern, uint32_t options) {
    int error = 0;
    PCRE2_SIZE at = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | options, &error, &at, nullptr);
    assert(code_ != nullptr);
  }
  ~Expression() { pcre2_code_free(code_); }
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;

  bool matches(Heap& heap, std::string_view text) const {
    heap.step(1 + text.size() / 2);
    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
    const int found = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, PCRE2_NO_UTF_CHECK,
                                  data, nullptr);
    pcre2_match_data_free(data);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) heap.step(UINT64_MAX);  // beyond the library's own bounds
    return found >= 0;
  }

 private:
  pcre2_code* code_ = nullptr;
};

struct Link {
  std::string rel, target;  // attributes with a space before them, or nothing
  std::optional<int64_t> shown;
  std::span<const Value> schemes;
};

std::string shortened(std::string_view text, const std::optional<int64_t>& limit) {
  const auto length = static_cast<int64_t>(count_code_points(text));
  if (!limit || length <= *limit) return std::string(text);
  const int64_t kept = *limit < 0 ? std::max<int64_t>(length + *limit, 0) : *limit;
  return std::string(text.substr(0, advance_code_points(text, 0, static_cast<size_t>(kept)))) + "...";
}

size_t count(std::string_view text, std::string_view wanted) {
  size_t n = 0;
  for (size_t at = text.find(wanted); at != text.npos; at = text.find(wanted, at + wanted.size())) ++n;
  return n;
}

std::string linked(Heap& heap, std::string middle, const Link& link) {
  static const Expression web(kWeb, PCRE2_CASELESS), mail(kMail, 0);
  const std::string_view view = middle;
  if (web.matches(heap, view)) {
    const bool complete = view.starts_with("https://") || view.starts_with("http://");
    return fmt::format("<a href=\"{}{}\"{}{}>{}</a>", complete ? "" : "https://", view, link.rel, link.target,
                       shortened(view, link.shown));
  }
  if (view.starts_with("mailto:") && mail.matches(heap, view.substr(7)))
    return fmt::format("<a href=\"{}\">{}</a>", view, view.substr(7));
  if (view.find('@') != view.npos && !view.starts_with("www.") && !view.starts_with("@") &&
      view.find(':') == view.npos && mail.matches(heap, view))
    return fmt::format("<a href=\"mailto:{0}\">{0}</a>", view);
  for (const Value& scheme : link.schemes) {
    heap.step(1 + middle.size() / 64);
    const std::string_view begin = scheme.str().view();
    if (middle != begin && middle.starts_with(begin))
      middle = fmt::format("<a href=\"{0}\"{1}{2}>{0}</a>", middle, link.rel, link.target);
    if (middle.size() > heap.bytes_left()) heap.charge(middle.size());
  }
  return middle;
}

// A word without white space, escaped. Brackets and punctuation around an address are not part of it.
void append_word(Heap& heap, std::string& out, std::string_view word, const Link& link) {
  heap.walk(word.size());
  size_t begin = 0, end = word.size();
  while (begin < end) {
    if (word[begin] == '(' || word[begin] == '<') ++begin;
    else if (word.substr(begin).starts_with("&lt;")) begin += 4;
    else break;
  }
  while (end > begin) {
    const std::string_view middle = word.substr(begin, end - begin);
    if (std::string_view(")>.,").find(middle.back()) != middle.npos) --end;
    else if (middle.ends_with("&gt;")) end -= 4;
    else break;
  }
  std::string middle(word.substr(begin, end - begin));
  std::string_view tail = word.substr(end);
  // Brackets that open inside close inside.
  for (const auto& [open, close] :
       {std::pair<std::string_view, std::string_view>("(", ")"), {"<", ">"}, {"&lt;", "&gt;"}}) {
    size_t moves = count(middle, open);
    if (moves <= count(middle, close)) continue;
    moves = std::min(moves, count(tail, close));
    size_t moved = 0;
    for (; moves > 0; --moves) moved = tail.find(close, moved) + close.size();
    middle += tail.substr(0, moved);
    tail.remove_prefix(moved);
  }
  out += word.substr(0, begin);
  out += linked(heap, std::move(middle), link);
  out += tail;
  if (out.size() > heap.bytes_left()) heap.charge(out.size());
}

}  // namespace

Value urlize(Runtime& rt, Value subject, const Args& args) {
  const auto [limit, nofollow, target, rel, schemes] =
      bind("do_urlize", args, {"trim_url_limit", "nofollow", "target", "rel", "extra_schemes"});
  Heap& heap = rt.heap;
  Link link;
  if (!limit.is_missing() && !limit.is_none()) link.shown = to_index(limit);
  std::set<std::string> rels = {"noopener"};
  if (truthy(rel)) {
    if (!rel.is_string()) fail(fmt::format("'{}' object has no attribute 'split'", type_name(rel)));
    const Value words = split(heap, rel.str(), nullptr, -1, false);
    for (const Value& word : words.items().span()) rels.emplace(word.str().view());
  }
  if (truthy(nofollow)) rels.emplace("nofollow");
  std::string all;
  for (const std::string& one : rels) all += (all.empty() ? "" : " ") + one;
  const auto escaped = [&](std::string_view text) { return escape(heap, make_string(heap, text)).view(); };
  link.rel = fmt::format(" rel=\"{}\"", escaped(all));
  if (truthy(target)) link.target = fmt::format(" target=\"{}\"", escape(heap, target).view());
  if (!schemes.is_missing() && !schemes.is_none()) {
    link.schemes = collect(heap, schemes);
    static const Expression scheme(kScheme, 0);
    for (const Value& one : link.schemes) {
      if (!one.is_string()) fail(fmt::format("expected string or bytes-like object, got '{}'", type_name(one)));
      if (!scheme.matches(heap, one.str().view()))
        fail(fmt::format("{} is not a valid URI scheme prefix.", repr(heap, one)));
    }
  }
  const std::string_view text = escape(heap, subject).view();
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    bool space = false;
    for (size_t next = begin; next < text.size(); end = next) {  // a word, or what lies between two
      const bool is = is_space(decode_at(text, next));
      if (end == begin) space = is;
      if (is != space) break;
    }
    const std::string_view word = text.substr(begin, end - begin);
    if (space) out += word;
    else append_word(heap, out, word, link);
    begin = end;
  }
  return make_string(heap, out);
}

}  // namespace fieldprint::jinja
