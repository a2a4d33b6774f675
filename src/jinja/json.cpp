#include "jinja/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "jinja/operators.h"
#include "jinja/repr.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

class JsonBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonBuilder(Heap& heap) : heap_(heap) {}
  Value root() const { return root_; }

  bool null() override { return put(Value::none()); }
  bool boolean(bool b) override { return put(Value::boolean(b)); }
  bool number_integer(number_integer_t i) override { return put(Value::integer(i)); }
  bool number_unsigned(number_unsigned_t u) override {
    if (u <= static_cast<uint64_t>(INT64_MAX)) return put(Value::integer(static_cast<int64_t>(u)));
    return put_big(fmt::format("{}", u), static_cast<double>(u));
  }
  bool number_float(number_float_t d, const string_t& text) override {
    return text.find_first_of(".eE") == text.npos ? put_big(text, d) : put(Value::real(d));
  }
  bool string(string_t& text) override { return put(make_string(heap_, text)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(false); }
  bool start_array(size_t) override { return open(true); }
  bool key(string_t& text) override {
    open_.back().key = make_string(heap_, text);
    return true;
  }
  bool end_object() override {
    const Value dict = open_.back().dict;
    open_.pop_back();
    return put(dict);
  }
  bool end_array() override {
    const Value list = make_list(heap_, open_.back().items);
    open_.pop_back();
    return put(list);
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail(fmt::format("this is not valid JSON (at byte {})", position));
  }

 private:
  struct Container {
    bool is_array;
    std::vector<Value> items;
    Dict* dict;
    Value key;
  };

  bool open(bool is_array) {
    if (open_.size() >= kMaxJsonDepth) fail(fmt::format("the JSON is nested more than {} levels deep", kMaxJsonDepth));
    open_.push_back({is_array, {}, is_array ? nullptr : heap_.make<Dict>(heap_), {}});
    return true;
  }

  bool put(Value value) {
    heap_.step();
    if (open_.empty()) root_ = value;
    else if (open_.back().is_array) open_.back().items.push_back(value);
    else open_.back().dict->set(open_.back().key, value);
    return true;
  }

  bool put_big(const std::string& digits, double nearest) {
    if (digits.size() > kMaxDigits) fail(fmt::format("an integer has more than {} digits", kMaxDigits));
    return put(heap_.make<BigInt>(make_string(heap_, digits).str().view(), nearest));
  }

  Heap& heap_;
  Value root_;
  std::vector<Container> open_;
};

class JsonWriter {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style) : out(heap), heap_(heap), style_(style) {}

  void write(Value value) {
    const Nesting nesting(heap_);
    heap_.step();
    check_size();
    switch (value.kind()) {
      case Kind::kNone:
        out.literal("null");
        return;
      case Kind::kBool:
        out.literal(value.as_bool() ? "true" : "false");
        return;
      case Kind::kInt:
        out.literal(fmt::format_int(value.as_int()).c_str());
        return;
      case Kind::kBigInt:
        out.literal(value.big().digits);
        return;
      case Kind::kFloat:
        out.literal(number(value.as_float()));
        return;
      case Kind::kString:
        write_string(value.str());
        return;
      case Kind::kList:
      case Kind::kTuple:
        write_items(value.items().span());
        return;
      case Kind::kDict:
        write_dict(value.dict());
        return;
      default:
        break;
    }
    fail(fmt::format("Object of type {} is not JSON serializable", type_name(value)));
  }

  TextBuilder out;

 private:
  void check_size() {
    if (out.size() > heap_.bytes_left()) heap_.charge(out.size());
  }

  static std::string number(double d) {
    if (std::isnan(d)) return "NaN";
    if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
    return float_repr(d);
  }

  void write_string(const String& string) {
    heap_.scan(string.size);
    check_size();
    out.literal("\"");
    each_origin(string, 0, string.size, [&](size_t begin, size_t size, Origin origin) {
      heap_.step();
      out.add(escaped(string.view().substr(begin, size)), origin);
    });
    out.literal("\"");
  }

  std::string escaped(std::string_view text) const {
    std::string piece;
    size_t plain = 0;  // from here on nothing needed a change
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      const unsigned char byte = static_cast<unsigned char>(text[pos]);
      const bool special = byte < 0x20 || byte == '"' || byte == '\\' || (style_.ensure_ascii && byte >= 0x7F);
      if (!special) {
        ++pos;
        continue;
      }
      piece += text.substr(plain, start - plain);
      append_escape(piece, decode_at(text, pos));
      if (piece.size() > heap_.bytes_left()) heap_.charge(piece.size());
      plain = pos;
    }
    piece += text.substr(plain);
    return piece;
  }

  static void append_escape(std::string& out, uint32_t c) {
    switch (c) {
      case '"':
        out += "\\\"";
        return;
      case '\\':
        out += "\\\\";
        return;
      case '\n':
        out += "\\n";
        return;
      case '\r':
        out += "\\r";
        return;
      case '\t':
        out += "\\t";
        return;
      case '\f':
        out += "\\f";
        return;
      case '\b':
        out += "\\b";
        return;
      default:
        break;
    }
    const auto unit = [&](uint32_t u) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += "0123456789abcdef"[u >> shift & 15];
    };
    if (c >= 0x10000) {
      unit(0xD800 + ((c - 0x10000) >> 10));
      unit(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      unit(c);
    }
  }

  void new_line() {
    if (!style_.indented) return;
    out.literal("\n");
    for (int i = 0; i < level_; ++i) {
      out.literal(style_.indent);
      check_size();
    }
    heap_.visit(static_cast<uint64_t>(level_));
  }

  void write_items(std::span<const Value> items) {
    if (items.empty()) {
      out.literal("[]");
      return;
    }
    out.literal("[");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out.literal(style_.item_separator);
      new_line();
      write(items[i]);
    }
    --level_;
    new_line();
    out.literal("]");
  }

  void write_dict(const Dict& dict) {
    if (dict.entries.empty()) {
      out.literal("{}");
      return;
    }
    std::vector<Dict::Entry> sorted;
    std::span<const Dict::Entry> entries(dict.entries);
    if (style_.sort_keys) {
      sorted.assign(entries.begin(), entries.end());
      std::stable_sort(sorted.begin(), sorted.end(), [&](const Dict::Entry& a, const Dict::Entry& b) {
        return compare(heap_, CompareOp::kLt, a.key, b.key);
      });
      entries = sorted;
    }
    out.literal("{");
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out.literal(style_.item_separator);
      new_line();
      write_key(entries[i].key);
      out.literal(style_.key_separator);
      write(entries[i].value);
    }
    --level_;
    new_line();
    out.literal("}");
  }

  void write_key(Value key) {
    switch (key.kind()) {
      case Kind::kString:
        return write_string(key.str());
      case Kind::kNone:
        return write_string(make_literal(heap_, "null").str());
      case Kind::kBool:
        return write_string(make_literal(heap_, key.as_bool() ? "true" : "false").str());
      case Kind::kInt:
        return write_string(make_literal(heap_, fmt::format_int(key.as_int()).c_str()).str());
      case Kind::kBigInt:
        return write_string(make_literal(heap_, key.big().digits).str());
      case Kind::kFloat:
        return write_string(make_literal(heap_, number(key.as_float())).str());
      default:
        fail(fmt::format("keys must be str, int, float, bool or None, not {}", type_name(key)));
    }
  }

  Heap& heap_;
  const JsonStyle& style_;
  int level_ = 0;
};

}  // namespace

Value parse_json(Heap& heap, std::string_view text) {
  JsonBuilder builder(heap);
  nlohmann::json::sax_parse(text, &builder);
  return builder.root();
}

Value dump_json(Heap& heap, Value value, const JsonStyle& style) {
  JsonWriter writer(heap, style);
  writer.write(value);
  return writer.out.finish();
}

std::string dump_compact_json(Heap& heap, Value value) {
  JsonStyle style;
  style.item_separator = ',';
  style.key_separator = ':';
  return std::string(dump_json(heap, value, style).str().view());
}

}  // namespace fieldprint::jinja
