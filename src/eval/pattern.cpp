#include "eval/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cassert>
#include <functional>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "jinja/unicode.h"

namespace fieldprint {

// Far beyond what a sensible pattern needs on an answer of some thousand tokens, and yet no minute.
constexpr uint32_t kMatchLimit = 20'000'000;

struct Pattern::Code {
  pcre2_code* code = nullptr;
  std::string source;  // for errors

  ~Code() { pcre2_code_free(code); }

  // Calls take(ovector, groups) for each match until it returns false.
  void each(std::string_view text, const std::function<bool(const size_t*, uint32_t)>& take) const {
    if (!is_utf8(text)) throw Error(ErrorKind::kBadInput, "the text is not UTF-8");
    const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
        pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
    const std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> context(
        pcre2_match_context_create(nullptr), pcre2_match_context_free);
    pcre2_set_match_limit(context.get(), kMatchLimit);
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    bool empty_before = false;  // the same empty match is not found again
    for (size_t at = 0; at <= text.size();) {
      const uint32_t options = PCRE2_NO_UTF_CHECK | (empty_before ? PCRE2_NOTEMPTY_ATSTART : 0);
      const int found = pcre2_match(code, subject, text.size(), at, options, data.get(), context.get());
      if (found == PCRE2_ERROR_NOMATCH) return;
      if (found < 0) {
        const bool steps = found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_DEPTHLIMIT;
        char message[120] = {};
        pcre2_get_error_message(found, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
        throw Error(ErrorKind::kLimit, steps ? fmt::format("the pattern '{}' takes too many steps", source)
                                             : fmt::format("the pattern '{}' cannot be matched: {}", source, message));
      }
      const size_t* bounds = pcre2_get_ovector_pointer(data.get());
      if (!take(bounds, pcre2_get_ovector_count(data.get()))) return;
      at = bounds[1];
      empty_before = bounds[0] == bounds[1];
    }
  }
};

Pattern::Pattern(std::string_view pattern, Flags flags) {
  auto code = std::make_shared<Code>();
  code->source = pattern;
  uint32_t options = PCRE2_UTF | PCRE2_UCP;
  if (flags.ignore_case) options |= PCRE2_CASELESS;
  if (flags.multiline) options |= PCRE2_MULTILINE;
  const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t where = 0;
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error, &where,
                             context.get());
  if (code->code == nullptr) {
    char message[120] = {};
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
    throw Error(ErrorKind::kBadInput, fmt::format("'{}' is no regular expression: {}", pattern, message));
  }
  code_ = std::move(code);
}

bool Pattern::search(std::string_view text) const {
  bool found = false;
  code_->each(text, [&](const size_t*, uint32_t) {
    found = true;
    return false;
  });
  return found;
}

std::vector<PatternMatch> Pattern::find_all(std::string_view text) const {
  std::vector<PatternMatch> all;
  code_->each(text, [&](const size_t* bounds, uint32_t count) {
    PatternMatch match{text.substr(bounds[0], bounds[1] - bounds[0]), {}};
    for (uint32_t i = 1; i < count; ++i) {
      const bool took_part = bounds[2 * i] != PCRE2_UNSET;
      match.groups.push_back(took_part ? text.substr(bounds[2 * i], bounds[2 * i + 1] - bounds[2 * i])
                                       : std::string_view());
    }
    all.push_back(std::move(match));
    return true;
  });
  return all;
}

size_t Pattern::count(std::string_view text) const {
  size_t n = 0;
  code_->each(text, [&](const size_t*, uint32_t) { return ++n, true; });
  return n;
}

std::string Pattern::replace(std::string_view text, std::string_view with) const {
  std::string out;
  size_t done = 0;
  code_->each(text, [&](const size_t* bounds, uint32_t count) {
    out += text.substr(done, bounds[0] - done);
    for (size_t i = 0; i < with.size(); ++i) {
      if (with[i] != '\\') {
        out += with[i];
        continue;
      }
      assert(i + 1 < with.size());
      const auto group = static_cast<uint32_t>(with[++i] - '0');
      if (group < count && bounds[2 * group] != PCRE2_UNSET)
        out += text.substr(bounds[2 * group], bounds[2 * group + 1] - bounds[2 * group]);
    }
    done = bounds[1];
    return true;
  });
  out += text.substr(done);
  return out;
}

std::vector<std::string_view> Pattern::split(std::string_view text) const {
  std::vector<std::string_view> parts;
  size_t done = 0;
  code_->each(text, [&](const size_t* bounds, uint32_t) {
    parts.push_back(text.substr(done, bounds[0] - done));
    done = bounds[1];
    return true;
  });
  parts.push_back(text.substr(done));
  return parts;
}

std::string_view strip_left(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    if (!jinja::is_space(jinja::decode_at(text, at))) return text.substr(begin);
  }
  return {};
}

std::string_view strip(std::string_view text) {
  text = strip_left(text);
  for (size_t end = text.size(); end > 0;) {
    size_t begin = end;
    if (!jinja::is_space(jinja::decode_before(text, begin))) return text.substr(0, end);
    end = begin;
  }
  return {};
}

std::string_view strip(std::string_view text, char c) {
  while (text.starts_with(c)) text.remove_prefix(1);
  while (text.ends_with(c)) text.remove_suffix(1);
  return text;
}

std::string replace_all(std::string text, std::string_view old, std::string_view with) {
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(old, done)) != text.npos; done = at + old.size()) {
    out.append(text, done, at - done);
    out += with;
  }
  if (done == 0) return text;
  return out.append(text, done);
}

namespace {

// Cased characters, and all of them of a kind.
bool all_cased(std::string_view text, bool (*other)(uint32_t), bool (*wanted)(uint32_t)) {
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = jinja::decode_at(text, at);
    if (other(c) || jinja::is_titlecase(c)) return false;
    any = any || wanted(c);
  }
  return any;
}

}  // namespace

bool is_upper_text(std::string_view text) { return all_cased(text, jinja::is_lower, jinja::is_upper); }
bool is_lower_text(std::string_view text) { return all_cased(text, jinja::is_upper, jinja::is_lower); }

size_t count_words(std::string_view text) {
  size_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const bool word = jinja::is_word(jinja::decode_at(text, at));
    words += word && !inside;
    inside = word;
  }
  return words;
}

}  // namespace fieldprint
