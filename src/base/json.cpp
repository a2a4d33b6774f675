#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <type_traits>
#include <vector>

#include "fieldprint/json.h"

namespace fieldprint {
namespace {

constexpr size_t kIndexFrom = 32;  // members; fewer are searched one by one

// The library reads no NaN and no infinity. Numbers that nobody writes stand for them on their way through it.
constexpr std::string_view kNan = "1e-706172001", kInfinity = "1e-706172002";

std::string at_line(std::string_view text, size_t position) {
  const std::string_view before = text.substr(0, position > 0 ? position - 1 : 0);  // the position counts from one
  const size_t line = before.rfind('\n');
  return fmt::format("line {}, column {}", std::count(before.begin(), before.end(), '\n') + 1,
                     before.size() - (line == before.npos ? 0 : line + 1) + 1);
}

template <class Json>
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, const std::string& where, const JsonRules& rules)
      : text_(text), where_(where), rules_(rules) {}

  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(typename Json::number_integer_t value) override { return put(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) override { return put(value); }
  bool number_float(typename Json::number_float_t value, const std::string& digits) override {
    if (rules_.python && value == 0) {
      if (digits == kNan) value = std::numeric_limits<double>::quiet_NaN();
      if (digits == kInfinity) value = std::numeric_limits<double>::infinity();
      if (digits[0] == '-' && digits.substr(1) == kInfinity) value = -std::numeric_limits<double>::infinity();
    }
    return put(value);
  }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(typename Json::binary_t&) override { return false; }  // JSON has none
  bool start_object(size_t) override { return open(Json::value_t::object); }
  bool start_array(size_t) override { return open(Json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    Level& level = open_.back();
    bool fresh = false;
    if constexpr (std::is_same_v<Json, nlohmann::json>) {
      const auto [member, added] = level.value->template get_ref<typename Json::object_t&>().emplace(name, nullptr);
      level.member = &member->second;
      fresh = added;
    } else {
      level.member = ordered_member(level, name, &fresh);
    }
    if (!fresh && rules_.unique_names) refuse(fmt::format("two members of one object are named {}", quoted(name)));
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    constexpr int kOutOfRange = 406;
    refuse(fmt::format("{} ({})", error.id == kOutOfRange ? "a number is too large" : "this is not valid JSON",
                       at_line(text_, position)));
    return false;
  }

 private:
  struct Level {
    Json* value;
    Json* member = nullptr;                    // of an object: what the last name stands for
    std::map<std::string, size_t> index = {};  // of an object with many members in the order of the text
  };

  [[noreturn]] void refuse(const std::string& what) const { throw Error(rules_.kind, what, where_); }

  static std::string quoted(std::string_view name) {
    std::string out;
    for (const char c : name.substr(0, 80)) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
    return "'" + out + (name.size() > 80 ? "...'" : "'");
  }

  // An object in the order of the text is a list of pairs: the library would search it for every name.
  static Json* ordered_member(Level& level, const std::string& name, bool* fresh) {
    auto& members = level.value->template get_ref<typename Json::object_t&>();
    if (members.size() == members.capacity()) grow(members);
    if (members.size() < kIndexFrom) {
      const auto [member, added] = members.emplace(name, nullptr);
      *fresh = added;
      return &member->second;
    }
    if (level.index.empty()) {
      for (size_t i = 0; i < members.size(); ++i)
        level.index.emplace(members.begin()[static_cast<ptrdiff_t>(i)].first, i);
    }
    const auto [known, added] = level.index.emplace(name, members.size());
    *fresh = added;
    if (added) static_cast<typename Json::object_t::Container&>(members).emplace_back(name, nullptr);
    return &members.begin()[static_cast<ptrdiff_t>(known->second)].second;
  }

  // By itself the list would grow by copying what it holds, whole trees, since copying its names may throw.
  static void grow(typename Json::object_t& members) {
    typename Json::object_t larger;
    larger.reserve(2 * members.size() + 4);
    for (auto& [name, value] : members)
      static_cast<typename Json::object_t::Container&>(larger).emplace_back(name, std::move(value));
    members.swap(larger);
  }

  Json* put(Json value) {
    Json* place = &root_;
    if (!open_.empty()) {
      Level& level = open_.back();
      if (level.value->is_array()) {
        level.value->push_back(nullptr);
        place = &level.value->back();
      } else {
        place = level.member;
      }
    }
    *place = std::move(value);
    return place;
  }

  bool open(typename Json::value_t type) {
    if (open_.size() >= kMaxJsonDepth)
      refuse(fmt::format("the JSON is nested more than {} levels deep", kMaxJsonDepth));
    open_.push_back({put(Json(type))});
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& where_;
  const JsonRules& rules_;
  Json root_;
  std::vector<Level> open_;
};

// Puts the numbers above where `text` says NaN or Infinity outside a string. What stands directly beside them must
// allow a number there.
std::string with_stand_ins(std::string_view text) {
  constexpr std::string_view kBefore = " \t\r\n,:[", kAfter = " \t\r\n,]}";
  std::string out;
  size_t copied = 0;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (inside) {
      if (text[i] == '\\') ++i;
      else inside = text[i] != '"';
      continue;
    }
    inside = text[i] == '"';
    if (text[i] != 'N' && text[i] != 'I') continue;
    const std::string_view word = text[i] == 'N' ? "NaN" : "Infinity";
    const size_t end = i + word.size();
    if (text.substr(i, word.size()) != word) continue;
    const size_t begin = word[0] == 'I' && i > 0 && text[i - 1] == '-' ? i - 1 : i;
    if (begin > 0 && kBefore.find(text[begin - 1]) == kBefore.npos) continue;
    if (end < text.size() && kAfter.find(text[end]) == kAfter.npos) continue;
    out += text.substr(copied, i - copied);
    out += word[0] == 'N' ? kNan : kInfinity;
    copied = end;
    i = end - 1;
  }
  return out += text.substr(copied);
}

template <class Json>
Json parse(std::string_view text, const std::string& where, const JsonRules& rules) {
  if (text.size() > rules.max_bytes) {
    throw Error(rules.kind, fmt::format("{} bytes of JSON, at most {} are read", text.size(), rules.max_bytes), where);
  }
  std::string replaced;
  if (rules.python && (text.find("NaN") != text.npos || text.find("Infinity") != text.npos)) {
    replaced = with_stand_ins(text);
    text = replaced;
  }
  Builder<Json> builder(text, where, rules);
  Json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& where, const JsonRules& rules) {
  return parse<nlohmann::json>(text, where, rules);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where, const JsonRules& rules) {
  return parse<nlohmann::ordered_json>(text, where, rules);
}

void check_json(std::string_view text, const std::string& where) { parse_json(text, where); }

std::string json_string(std::string_view value, bool ascii) {
  return nlohmann::json(value).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

}  // namespace fieldprint
