#include "eval/document.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

const Document* find(const Document& document, std::string_view name) {
  const Document* at = &document;
  for (;;) {
    const size_t dot = name.find('.');
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(name.substr(0, dot)));
    if (found == at->end()) return nullptr;
    at = &*found;
    if (dot == name.npos) return at;
    name.remove_prefix(dot + 1);
  }
}

// A value as Python's repr() has it, and numpy's: commas between elements may be missing, array(..., dtype=...) is a
// list.
class PythonValue {
 public:
  explicit PythonValue(std::string_view text) : text_(text) {}

  Document whole() {
    Document value = read(0);
    skip_spaces();
    if (at_ != text_.size()) fail("something behind the value");
    return value;
  }

 private:
  static constexpr int kMaxDepth = 32;

  [[noreturn]] void fail(const char* what) const {
    refuse(fmt::format("no list as Python writes it: {} at character {}", what, at_ + 1));
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  Document read(int depth) {
    if (depth > kMaxDepth) fail("lists too deep");
    skip_spaces();
    if (at_ == text_.size()) fail("the end");
    if (take("array(")) {
      Document value = read(depth + 1);
      const size_t end = text_.find(')', at_);  // behind the list comes ", dtype=object" at most
      if (end == text_.npos) fail("no end of an array");
      at_ = end + 1;
      return value;
    }
    if (take("None")) return nullptr;
    if (take("True")) return true;
    if (take("False")) return false;
    const char c = text_[at_];
    if (c == '[' || c == '(') return read_list(c == '[' ? ']' : ')', depth);
    if (c == '{') return read_dictionary(depth);
    if (c == '\'' || c == '"') return read_text();
    return read_number();
  }

  Document read_list(char end, int depth) {
    Document list = Document::array();
    for (++at_;;) {
      skip_spaces();
      if (at_ == text_.size()) fail("no end of a list");
      if (text_[at_] == end) {
        ++at_;
        return list;
      }
      list.push_back(read(depth + 1));
      skip_spaces();
      take(",");
    }
  }

  Document read_dictionary(int depth) {
    Document object = Document::object();
    for (++at_;;) {
      skip_spaces();
      if (at_ == text_.size()) fail("no end of a dictionary");
      if (take("}")) return object;
      const char c = text_[at_];
      if (c != '\'' && c != '"') fail("no text as a key");
      const std::string key = read_text();
      skip_spaces();
      if (!take(":")) fail("no colon");
      object[key] = read(depth + 1);
      skip_spaces();
      take(",");
    }
  }

  std::string read_text() {
    std::string text;
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\') read_escape(text);
      else text += text_[at_++];
    }
    if (at_ == text_.size()) fail("no end of a text");
    ++at_;
    return text;
  }

  void read_escape(std::string& text) {
    if (at_ + 1 >= text_.size()) fail("no end of a text");
    const char c = text_[at_ + 1];
    at_ += 2;
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      uint32_t code = 0;
      const char* first = text_.data() + at_;
      if (text_.size() - at_ < static_cast<size_t>(digits)) fail("no end of an escape");
      const auto [end, error] = std::from_chars(first, first + digits, code, 16);
      if (error != std::errc() || end != first + digits) fail("no hexadecimal digits");
      if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail("no character");
      append_utf8(text, code);
      at_ += static_cast<size_t>(digits);
      return;
    }
    constexpr std::string_view kFrom = "nrtbfav0\\'\"", kTo("\n\r\t\b\f\a\v\0\\'\"", 11);
    const size_t i = kFrom.find(c);
    if (i != kFrom.npos) text += kTo[i];
    else text += {'\\', c};
  }

  Document read_number() {
    const size_t end = std::min(text_.find_first_of(" ,]})\n\t\r", at_), text_.size());
    const std::string_view digits = text_.substr(at_, end - at_);
    int64_t integer = 0;
    const auto whole = std::from_chars(digits.begin(), digits.end(), integer);
    if (!digits.empty() && whole.ec == std::errc() && whole.ptr == digits.end()) {
      at_ = end;
      return integer;
    }
    double real = 0;
    const auto part = std::from_chars(digits.begin(), digits.end(), real);
    if (digits.empty() || part.ec != std::errc() || part.ptr != digits.end()) fail("no value");
    at_ = end;
    return real;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

const Document& member(const Document& document, std::string_view name) {
  const Document* found = find(document, name);
  if (found == nullptr) {
    std::string names;
    if (document.is_object())
      for (const auto& [key, value] : document.items()) names += (names.empty() ? "" : ", ") + key;
    refuse(fmt::format("the row has no '{}'; it has: {}", name, names.empty() ? "nothing" : names));
  }
  return *found;
}

const std::string& text_member(const Document& document, std::string_view name) {
  const Document& value = member(document, name);
  if (!value.is_string()) refuse(fmt::format("'{}' is no text", name));
  return value.get_ref<const std::string&>();
}

std::vector<std::string> texts_member(const Document& document, std::string_view name) {
  const Document& value = member(document, name);
  std::vector<std::string> texts;
  if (!value.is_array()) refuse(fmt::format("'{}' is no list of texts", name));
  for (const Document& each : value) {
    if (!each.is_string()) refuse(fmt::format("'{}' is no list of texts", name));
    texts.push_back(each.get_ref<const std::string&>());
  }
  return texts;
}

int64_t integer_member(const Document& document, std::string_view name) {
  const Document& value = member(document, name);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return number;
  }
  refuse(fmt::format("'{}' is no integer", name));
}

bool has_member(const Document& document, std::string_view name) { return find(document, name) != nullptr; }

Document parse_python_value(std::string_view text) { return PythonValue(text).whole(); }

}  // namespace fieldprint
