#include "jinja/value.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "jinja/operators.h"
#include "jinja/repr.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

// One String for every ASCII character, so that walking over text costs no memory.
struct AsciiCharacters {
  char bytes[128];
  String strings[2][128];  // of each origin
  AsciiCharacters() {
    for (int c = 0; c < 128; ++c) {
      bytes[c] = static_cast<char>(c);
      for (const Origin origin : {Origin::kTemplate, Origin::kContent})
        strings[static_cast<int>(origin)][c] = String{.data = &bytes[c], .size = 1, .code_points = 1, .origin = origin};
    }
  }
};

const String* ascii_character(char c, Origin origin) {
  static const AsciiCharacters characters;
  return &characters.strings[static_cast<int>(origin)][static_cast<unsigned char>(c)];
}

constexpr size_t kIndexFrom = 9;  // fewer entries are searched one by one

uint64_t mix(uint64_t h) {
  h ^= h >> 32;
  h *= 0x9E3779B97F4A7C15u;
  return h ^ h >> 29;
}

}  // namespace

void fail(const std::string& message) { throw Failure(message); }

Value make_string(Heap& heap, std::string_view text, bool markup) {
  char* data = heap.make_array<char>(text.size());
  if (!text.empty()) std::memcpy(data, text.data(), text.size());
  return heap.make<String>(data, text.size(), count_code_points(text), nullptr, markup);
}

Value make_literal(Heap& heap, std::string_view text) {
  String* string = heap.make<String>(make_string(heap, text).str());
  string->origin = Origin::kTemplate;
  return string;
}

Value make_piece(Heap& heap, const String& of, size_t from, size_t size) {
  assert(from + size <= of.size);
  if (size == of.size) return &of;
  Origin origin = of.origin;
  bool mixed = false;
  each_origin(of, from, size, [&](size_t begin, size_t, Origin here) {
    if (begin > from) heap.step();
    mixed = begin > from;
    origin = here;
  });
  if (size == 1 && !of.markup) return ascii_character(of.data[from], origin);
  if (!of.ascii()) heap.scan(size);
  const size_t points = of.ascii() ? size : count_code_points(of.view().substr(from, size));
  return heap.make<String>(of.data + from, size, points, nullptr, of.markup, origin, mixed ? of.origins : nullptr);
}

Value make_character(Heap& heap, const String& of, size_t& pos) {
  const size_t start = pos;
  decode_at(of.view(), pos);
  return make_piece(heap, of, start, pos - start);
}

Value as_markup(Heap& heap, const String& text, bool markup) {
  if (text.markup == markup) return &text;
  String* copy = heap.make<String>(text);
  copy->markup = markup;
  return copy;
}

namespace {
std::span<Value> copy_values(Heap& heap, std::span<const Value> items) {
  Value* data = heap.make_array<Value>(items.size());
  std::copy(items.begin(), items.end(), data);
  heap.scan(items.size() * sizeof(Value));
  return {data, items.size()};
}
}  // namespace

Value make_list(Heap& heap, std::span<const Value> items) {
  return Value::list(heap.make<List>(copy_values(heap, items).data(), items.size()));
}

Value make_tuple(Heap& heap, std::span<const Value> items) {
  return Value::tuple(heap.make<List>(copy_values(heap, items).data(), items.size()));
}

Value make_iterator(Heap& heap, const char* type, std::span<const Value> items) {
  return heap.make<Iterator>(type, copy_values(heap, items));
}

Value make_undefined(Heap& heap, std::string_view hint) {
  return heap.make<Undefined>(make_string(heap, hint).str().view(), Value(), Value());
}

Value make_undefined(Heap& heap, Value object, Value name) {
  return heap.make<Undefined>(std::string_view(), object, name);
}

namespace {

// Storage that begins with `left` and has room for `more`; `buffer` is left's own.
template <class T>
Buffer<T>* storage_for(Heap& heap, const T* left, size_t size, Buffer<T>* buffer, size_t more) {
  if (buffer && left + size == buffer->data + buffer->used && buffer->capacity - buffer->used >= more) return buffer;
  // The first join is exact; what is joined again will be joined many times.
  const size_t capacity = buffer ? 2 * (size + more) : size + more;
  auto* fresh = heap.make<Buffer<T>>(heap.make_array<T>(capacity), size, capacity);
  std::copy(left, left + size, fresh->data);
  heap.scan(size * sizeof(T));
  return fresh;
}

}  // namespace

// The origins of `left` and `right` side by side, in the storage that begins with `left`: those of `left` itself where
// it is that storage already.
static const Origins* concat_origins(Heap& heap, const String& left, const String& right, const char* storage) {
  if (left.origins == nullptr && right.origins == nullptr && left.origin == right.origin) return nullptr;
  auto* origins = const_cast<Origins*>(left.origins);
  const auto add = [&](size_t, size_t size, Origin origin) {
    auto& runs = origins->runs;
    const size_t end = (runs.empty() ? 0 : runs.back().end) + size;
    if (!runs.empty() && runs.back().origin == origin) runs.back().end = end;
    else runs.push_back({end, origin});
    heap.step();
  };
  if (origins == nullptr || origins->base != storage) {
    origins = heap.make<Origins>(storage, std::pmr::vector<OriginRun>(&heap));
    each_origin(left, 0, left.size, add);
  }
  each_origin(right, 0, right.size, add);
  return origins;
}

Value concat_strings(Heap& heap, const String& left, const String& right, bool markup) {
  if (right.size == 0) return as_markup(heap, left, markup);
  if (left.size == 0) return as_markup(heap, right, markup);
  Buffer<char>* buffer = storage_for(heap, left.data, left.size, left.buffer, right.size);
  const Origins* origins = concat_origins(heap, left, right, buffer->data);
  std::memcpy(buffer->data + buffer->used, right.data, right.size);
  buffer->used += right.size;
  const size_t size = left.size + right.size;
  heap.scan(right.size);
  return heap.make<String>(buffer->data + buffer->used - size, size, left.code_points + right.code_points, buffer,
                           markup, left.origin, origins);
}

const List* concat_lists(Heap& heap, const List& left, const List& right) {
  Buffer<Value>* buffer = storage_for(heap, left.data, left.size, left.buffer, right.size);
  std::copy(right.data, right.data + right.size, buffer->data + buffer->used);
  buffer->used += right.size;
  const size_t size = left.size + right.size;
  heap.scan(right.size * sizeof(Value));
  return heap.make<List>(buffer->data + buffer->used - size, size, buffer);
}

std::string_view type_name(Value value) {
  switch (value.kind()) {
    case Kind::kMissing:
      return "missing";
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.str().markup ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return value.items().is_group ? "_GroupTuple" : "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kView:
      switch (value.view().part) {
        case View::Part::kItems:
          return "dict_items";
        case View::Part::kKeys:
          return "dict_keys";
        case View::Part::kValues:
          return "dict_values";
      }
      break;
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
      return value.iterator().type;
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kMacro:
      return "Macro";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMethod:
      return "builtin_function_or_method";
    case Kind::kFunction:
      return "function";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  assert(false);
  return "";
}

std::string undefined_message(Heap& heap, const Undefined& undefined) {
  if (!undefined.hint.empty()) return std::string(undefined.hint);
  const std::string name = repr(heap, undefined.name);
  if (undefined.object.is_missing()) return name + " is undefined";
  std::string owner;
  switch (undefined.object.kind()) {
    case Kind::kNone:
      owner = "None";
      break;
    case Kind::kNamespace:
      owner = "jinja2.utils.Namespace object";
      break;
    case Kind::kMacro:
      owner = "jinja2.runtime.Macro object";
      break;
    case Kind::kLoop:
      owner = "jinja2.runtime.LoopContext object";
      break;
    case Kind::kCycler:
      owner = "jinja2.utils.Cycler object";
      break;
    case Kind::kJoiner:
      owner = "jinja2.utils.Joiner object";
      break;
    default:
      if (undefined.object.is_string() && undefined.object.str().markup) owner = "markupsafe.Markup object";
      else owner = fmt::format("{} object", type_name(undefined.object));
  }
  if (!undefined.name.is_string()) return fmt::format("{} has no element {}", owner, name);
  return fmt::format("'{}' has no attribute {}", owner, name);
}

void fail_undefined(Heap& heap, Value value) { fail(undefined_message(heap, value.undefined())); }

void require_defined(Heap& heap, Value value) {
  if (heap.strict() && value.is_undefined() && value.undefined().hint.empty()) fail_undefined(heap, value);
}

uint64_t hash_of(Heap& heap, Value value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return static_cast<uint64_t>(value.kind());
    case Kind::kBool:
    case Kind::kInt:
      return mix(static_cast<uint64_t>(value.as_int()));
    case Kind::kFloat: {
      const double d = value.as_float();
      if (d == std::floor(d) && std::abs(d) < 9e18) return mix(static_cast<uint64_t>(static_cast<int64_t>(d)));
      return mix(std::bit_cast<uint64_t>(d));
    }
    case Kind::kBigInt:
      return mix(std::bit_cast<uint64_t>(value.big().nearest));
    case Kind::kString:
      heap.scan(value.str().size);
      return std::hash<std::string_view>()(value.str().view());
    case Kind::kTuple: {
      const Nesting nesting(heap);
      uint64_t h = 0x345678;
      for (const Value& item : value.items().span()) h = mix(h ^ hash_of(heap, item));
      heap.step(value.items().size);
      return h;
    }
    case Kind::kList:
    case Kind::kDict:
      fail(fmt::format("unhashable type: '{}'", type_name(value)));
    case Kind::kView:
      if (value.view().part != View::Part::kValues) fail(fmt::format("unhashable type: '{}'", type_name(value)));
      break;
    default:
      break;
  }
  return mix(reinterpret_cast<uintptr_t>(value.identity()));
}

const Value* Dict::find(Value key) const {
  const uint64_t hash = hash_of(*heap, key);
  if (!index.empty()) {
    const uint32_t entry = index[slot_of(key, hash)];
    return entry ? &entries[entry - 1].value : nullptr;
  }
  for (const Entry& entry : entries) {
    if (equal(*heap, entry.key, key)) return &entry.value;
  }
  return nullptr;
}

const Value* Dict::find(std::string_view key) const {
  heap->scan(key.size());
  if (index.empty()) {
    for (const Entry& entry : entries) {
      if (entry.key.is_string() && entry.key.str().view() == key) return &entry.value;
    }
    return nullptr;
  }
  const String text{key.data(), key.size(), 0};
  return find(Value(&text));
}

void Dict::set(Value key, Value value) {
  if (const Value* old = find(key)) {
    *const_cast<Value*>(old) = value;
    return;
  }
  entries.push_back({key, value});
  if (entries.size() < kIndexFrom) return;
  if (index.size() < 2 * entries.size()) return rebuild_index();
  index[slot_of(key, hash_of(*heap, key))] = static_cast<uint32_t>(entries.size());
}

size_t Dict::slot_of(Value key, uint64_t hash) const {
  const size_t mask = index.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    heap->step();  // keys made to collide cost what they cost
    if (index[slot] == 0 || equal(*heap, entries[index[slot] - 1].key, key)) return slot;
  }
}

void Dict::rebuild_index() {
  index.assign(std::bit_ceil(4 * entries.size()), 0);
  for (size_t i = 0; i < entries.size(); ++i) {
    index[slot_of(entries[i].key, hash_of(*heap, entries[i].key))] = static_cast<uint32_t>(i + 1);
  }
}

}  // namespace fieldprint::jinja
