#define PCRE2_CODE_UNIT_WIDTH 8
#include "distil/pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>

#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

constexpr uint32_t kMostWork = 20'000'000;  // steps of the matcher: about a second

std::string message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.empty() ? "" : text.data()); }

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* bounds = nullptr;
  ~Code() {
    pcre2_match_context_free(bounds);
    pcre2_code_free(code);
  }

  struct Match {
    pcre2_match_data* data;
    explicit Match(const pcre2_code* of) : data(pcre2_match_data_create_from_pattern(of, nullptr)) {
      if (data == nullptr) throw std::bad_alloc();
    }
    ~Match() { pcre2_match_data_free(data); }
    Match(const Match&) = delete;
    Match& operator=(const Match&) = delete;
  };

  // Groups matched, 0: no match.
  int match(std::string_view text, size_t from, const Match& into, const std::string& source) const {
    const int rc = pcre2_match(code, units(text), text.size(), from, 0, into.data, bounds);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT)
      throw Error(ErrorKind::kLimit, "a match takes too long", fmt::format("regular expression {}", source),
                  "repetitions within repetitions, such as (a+)+, do that: write them as one");
    if (rc < 0) throw Error(ErrorKind::kBadInput, message(rc), fmt::format("regular expression {}", source));
    return rc;
  }
};

Pattern::Pattern(std::string source) : source_(std::move(source)), code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  code_->code = pcre2_compile(units(source_), source_.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error,
                              &at, nullptr);
  if (code_->code == nullptr)
    throw Error(ErrorKind::kUsage, fmt::format("{} (at character {})", message(error), at),
                fmt::format("regular expression {}", source_));
  code_->bounds = pcre2_match_context_create(nullptr);
  if (code_->bounds == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(code_->bounds, kMostWork);
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);  // where there is none, the interpreter does it
}
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::matches(std::string_view text) const {
  const Code::Match match(code_->code);
  return code_->match(text, 0, match, source_) > 0;
}

std::optional<std::string> Pattern::last(std::string_view text) const {
  const Code::Match match(code_->code);
  std::optional<std::string> found;
  for (size_t from = 0; from <= text.size();) {
    const int groups = code_->match(text, from, match, source_);
    if (groups == 0) break;
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.data);
    const size_t group = groups > 1 && ends[2] != PCRE2_UNSET ? 1 : 0;
    found = text.substr(ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
    from = std::max<size_t>(ends[1], from + 1);  // an empty match must not be found for ever
    while (from < text.size() && (static_cast<uint8_t>(text[from]) & 0xC0) == 0x80) ++from;
  }
  return found;
}

}  // namespace fieldprint::distil
