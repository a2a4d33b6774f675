#include "jinja/unicode.h"

#include <algorithm>
#include <optional>

#include "jinja/unicode_tables.h"

namespace fieldprint::jinja {
namespace {

template <class Run>
const Run* find_run(const Run* runs, size_t count, uint32_t c) {
  const Run* after = std::upper_bound(runs, runs + count, c, [](uint32_t v, const Run& r) { return v < r.first; });
  if (after == runs) return nullptr;
  const Run& run = after[-1];
  return c <= run.last && (c - run.first) % run.step == 0 ? &run : nullptr;
}

const char* find_expansion(const CaseExpansion* rows, size_t count, uint32_t c) {
  const CaseExpansion* row =
      std::lower_bound(rows, rows + count, c, [](const CaseExpansion& r, uint32_t v) { return r.from < v; });
  return row != rows + count && row->from == c ? row->to : nullptr;
}

uint32_t shifted(uint32_t c, const CaseRun* runs, size_t count) {
  const CaseRun* run = find_run(runs, count, c);
  return run ? static_cast<uint32_t>(static_cast<int32_t>(c) + run->delta) : c;
}

bool is_ascii_letter(uint32_t c) { return (c | 32) - 'a' < 26; }

constexpr uint32_t kSigma = 0x3A3, kFinalSigma = 0x3C2, kDottedI = 0x130;

// What case rules look through: marks and apostrophes inside a word.
bool is_case_ignorable(uint32_t c) {
  return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xA8 || c == 0xAD || c == 0xAF ||
         c == 0xB4 || c == 0xB7 || c == 0xB8 || c == 0x2019 || (c >= 0x2B0 && c <= 0x36F) ||
         (c >= 0x200B && c <= 0x200F);
}

bool is_final_sigma(std::string_view text, size_t start, size_t end) {
  bool before = false;
  while (start > 0) {
    const uint32_t c = decode_before(text, start);
    if (is_case_ignorable(c)) continue;
    before = is_cased(c);
    break;
  }
  if (!before) return false;
  while (end < text.size()) {
    const uint32_t c = decode_at(text, end);
    if (is_case_ignorable(c)) continue;
    return !is_cased(c);
  }
  return true;
}

// `start` and `end` delimit c within its text, which decides the shape of a sigma.
void append_lower(std::string& out, uint32_t c, std::string_view text, size_t start, size_t end) {
  if (c < 128) {
    out += static_cast<char>(is_ascii_letter(c) ? c | 32 : c);
  } else if (c == kSigma) {
    append_utf8(out, is_final_sigma(text, start, end) ? kFinalSigma : 0x3C3);
  } else if (c == kDottedI) {
    out += "i\xCC\x87";
  } else {
    append_utf8(out, shifted(c, kToLowerRuns, kToLowerRunCount));
  }
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  size_t i = 0;
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  while (i < text.size()) {
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    const unsigned char second = byte(i + 1);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second >= 0x90)) {
      return false;
    }
    i += length;
  }
  return true;
}

size_t count_code_points(std::string_view text) {
  size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

uint32_t decode_at(std::string_view text, size_t& pos) {
  const auto next = [&] { return static_cast<unsigned char>(text[pos++]) & 0x3Fu; };
  const uint32_t lead = static_cast<unsigned char>(text[pos++]);
  if (lead < 0x80) return lead;
  if (lead < 0xE0) return (lead & 0x1F) << 6 | next();
  uint32_t c = lead < 0xF0 ? lead & 0x0F : (lead & 0x07) << 6 | next();
  c = c << 6 | next();
  return c << 6 | next();
}

uint32_t decode_before(std::string_view text, size_t& pos) {
  do --pos;
  while ((static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
  size_t from = pos;
  return decode_at(text, from);
}

void append_utf8(std::string& out, uint32_t c) {
  const auto push = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6), push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12), push(0x80 | (c >> 6 & 0x3F)), push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | c >> 18), push(0x80 | (c >> 12 & 0x3F)), push(0x80 | (c >> 6 & 0x3F)), push(0x80 | (c & 0x3F));
  }
}

size_t advance_code_points(std::string_view text, size_t from, size_t n) {
  while (n > 0 && from < text.size()) {
    ++from;
    while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
    --n;
  }
  return from;
}

bool is_space(uint32_t c) {
  if (c < 128) return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_break(uint32_t c) {
  return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_alpha(uint32_t c) { return c < 128 ? is_ascii_letter(c) : find_run(kAlphaRuns, kAlphaRunCount, c) != nullptr; }

bool is_decimal(uint32_t c) { return c < 128 ? c - '0' < 10 : find_run(kDecimalRuns, kDecimalRunCount, c) != nullptr; }

bool is_digit(uint32_t c) { return is_decimal(c) || (c >= 128 && find_run(kDigitRuns, kDigitRunCount, c)); }

bool is_numeric(uint32_t c) {
  return is_digit(c) || (c >= 128 && (find_run(kNumericRuns, kNumericRunCount, c) ||
                                      find_run(kNumericAlphaRuns, kNumericAlphaRunCount, c)));
}

bool is_alnum(uint32_t c) { return is_alpha(c) || is_numeric(c); }

bool is_lower(uint32_t c) { return c < 128 ? c - 'a' < 26 : find_run(kLowerRuns, kLowerRunCount, c) != nullptr; }

bool is_upper(uint32_t c) { return c < 128 ? c - 'A' < 26 : find_run(kUpperRuns, kUpperRunCount, c) != nullptr; }

bool is_titlecase(uint32_t c) {
  return c == 0x1C5 || c == 0x1C8 || c == 0x1CB || c == 0x1F2 || (c >= 0x1F88 && c <= 0x1F8F) ||
         (c >= 0x1F98 && c <= 0x1F9F) || (c >= 0x1FA8 && c <= 0x1FAF) || c == 0x1FBC || c == 0x1FCC || c == 0x1FFC;
}

bool is_cased(uint32_t c) { return is_lower(c) || is_upper(c) || is_titlecase(c); }

bool is_printable(uint32_t c) {
  return c < 128 ? c >= 32 && c < 127 : find_run(kUnprintableRuns, kUnprintableRunCount, c) == nullptr;
}

bool is_word(uint32_t c) { return c == '_' || is_alnum(c); }

void append_upper(std::string& out, uint32_t c) {
  if (c < 128) {
    out += static_cast<char>(c - 'a' < 26 ? c - 32 : c);
  } else if (const char* text = find_expansion(kUpperExpansions, kUpperExpansionCount, c)) {
    out += text;
  } else {
    append_utf8(out, shifted(c, kToUpperRuns, kToUpperRunCount));
  }
}

void append_title(std::string& out, uint32_t c) {
  if (const char* text = c < 128 ? nullptr : find_expansion(kTitleExceptions, kTitleExceptionCount, c)) {
    out += text;
  } else {
    append_upper(out, c);
  }
}

void append_fold(std::string& out, uint32_t c) {
  if (const char* text = c < 128 ? nullptr : find_expansion(kFoldExceptions, kFoldExceptionCount, c)) {
    out += text;
    return;
  }
  std::string upper;
  append_upper(upper, c);
  for (size_t pos = 0; pos < upper.size();) {
    const uint32_t u = decode_at(upper, pos);
    append_lower(out, u == kSigma ? 0x3C3 : u, {}, 0, 0);
  }
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) append_upper(out, decode_at(text, pos));
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const uint32_t c = decode_at(text, pos);
    append_lower(out, c, text, start, pos);
  }
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const uint32_t c = decode_at(text, pos);
    if (inside) append_lower(out, c, text, start, pos);
    else append_title(out, c);
    inside = is_cased(c);
  }
  return out;
}

std::string to_capital(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const uint32_t c = decode_at(text, pos);
    if (start == 0) append_title(out, c);
    else append_lower(out, c, text, start, pos);
  }
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const uint32_t c = decode_at(text, pos);
    if (is_upper(c)) append_lower(out, c, text, start, pos);
    else if (is_lower(c)) append_upper(out, c);
    else append_utf8(out, c);
  }
  return out;
}

std::string fold_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) append_fold(out, decode_at(text, pos));
  return out;
}

}  // namespace fieldprint::jinja
