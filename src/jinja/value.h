// A template's values: Python's, as far as a chat template can see them. A Value is 16 bytes and copied freely; what it
// points to lives in a Heap. Strings, lists, tuples and dicts never change once made (the sandbox forbids it), so they
// may share storage; namespaces, iterators, cyclers and joiners do change.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/heap.h"

namespace fieldprint::jinja {

// What a template does wrong. `raised`: by its own raise_exception.
struct Failure : std::runtime_error {
  explicit Failure(const std::string& message, bool is_raised = false)
      : std::runtime_error(message), raised(is_raised) {}
  bool raised;
};
[[noreturn]] void fail(const std::string& message);

enum class Kind : uint8_t {
  kMissing,  // no value at all: an unset slot, an argument not given
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kBigInt,  // an integer beyond int64, kept as its digits; arithmetic sees a float
  kString,
  kList,
  kTuple,
  kDict,
  kView,  // dict.items(), .keys(), .values()
  kRange,
  kIterator,  // what a generator gives: consumed once
  kNamespace,
  kMacro,
  kLoop,
  kMethod,
  kFunction,
  kCycler,
  kJoiner,
};

struct Undefined;
struct BigInt;
struct String;
struct List;
struct Dict;
struct View;
struct Range;
struct Iterator;
struct Namespace;
struct Macro;
struct Loop;
struct BoundMethod;
struct Function;
struct Cycler;
struct Joiner;

class Value {
 public:
  Value() : kind_(Kind::kMissing), int_(0) {}
  Value(const Undefined* p) : kind_(Kind::kUndefined), object_(p) {}
  Value(const BigInt* p) : kind_(Kind::kBigInt), object_(p) {}
  Value(const String* p) : kind_(Kind::kString), object_(p) {}
  Value(const Dict* p) : kind_(Kind::kDict), object_(p) {}
  Value(const View* p) : kind_(Kind::kView), object_(p) {}
  Value(const Range* p) : kind_(Kind::kRange), object_(p) {}
  Value(const Iterator* p) : kind_(Kind::kIterator), object_(p) {}
  Value(const Namespace* p) : kind_(Kind::kNamespace), object_(p) {}
  Value(const Macro* p) : kind_(Kind::kMacro), object_(p) {}
  Value(const Loop* p) : kind_(Kind::kLoop), object_(p) {}
  Value(const BoundMethod* p) : kind_(Kind::kMethod), object_(p) {}
  Value(const Function* p) : kind_(Kind::kFunction), object_(p) {}
  Value(const Cycler* p) : kind_(Kind::kCycler), object_(p) {}
  Value(const Joiner* p) : kind_(Kind::kJoiner), object_(p) {}
  static Value none() { return Value(Kind::kNone, int64_t{0}); }
  static Value boolean(bool b) { return Value(Kind::kBool, static_cast<int64_t>(b)); }
  static Value integer(int64_t i) { return Value(Kind::kInt, i); }
  static Value real(double d) { return Value(d); }
  static Value list(const List* p) { return Value(Kind::kList, p); }
  static Value tuple(const List* p) { return Value(Kind::kTuple, p); }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_missing() const { return kind_ == Kind::kMissing; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat || kind_ == Kind::kBigInt; }

  bool as_bool() const { return int_ != 0; }
  int64_t as_int() const { return int_; }  // kInt, kBool
  double as_float() const { return float_; }
  const Undefined& undefined() const { return object<Undefined>(Kind::kUndefined); }
  const BigInt& big() const { return object<BigInt>(Kind::kBigInt); }
  const String& str() const { return object<String>(Kind::kString); }
  const List& items() const { return *static_cast<const List*>(object_); }  // kList, kTuple
  const Dict& dict() const { return object<Dict>(Kind::kDict); }
  const View& view() const { return object<View>(Kind::kView); }
  const Range& range() const { return object<Range>(Kind::kRange); }
  Iterator& iterator() const { return mutable_object<Iterator>(Kind::kIterator); }
  Namespace& space() const { return mutable_object<Namespace>(Kind::kNamespace); }
  const Macro& macro() const { return object<Macro>(Kind::kMacro); }
  Loop& loop() const { return mutable_object<Loop>(Kind::kLoop); }
  const BoundMethod& method() const { return object<BoundMethod>(Kind::kMethod); }
  const Function& function() const { return object<Function>(Kind::kFunction); }
  Cycler& cycler() const { return mutable_object<Cycler>(Kind::kCycler); }
  Joiner& joiner() const { return mutable_object<Joiner>(Kind::kJoiner); }
  const void* identity() const { return object_; }  // of a value that is an object

 private:
  Value(Kind kind, int64_t i) : kind_(kind), int_(i) {}
  Value(Kind kind, const void* p) : kind_(kind), object_(p) {}
  explicit Value(double d) : kind_(Kind::kFloat), float_(d) {}
  template <class T>
  const T& object([[maybe_unused]] Kind kind) const {
    assert(kind_ == kind);
    return *static_cast<const T*>(object_);
  }
  template <class T>
  T& mutable_object(Kind kind) const {
    return const_cast<T&>(object<T>(kind));
  }

  Kind kind_;
  union {
    int64_t int_;
    double float_;
    const void* object_;
  };
};
static_assert(sizeof(Value) == 16);

// Storage that grows at its end: a string or list that ends where its storage ends can be appended to in place, so
// building text or a list piece by piece stays linear although every piece is a value of its own.
template <class T>
struct Buffer {
  T* data;
  size_t used, capacity;
};

// Where a byte of text comes from: the template's own words, or the variables that it is rendered with. What is not
// known to be the template's counts as content.
enum class Origin : uint8_t { kTemplate, kContent };

// Up to byte `end` of a text.
struct OriginRun {
  size_t end;
  Origin origin;
};

// Of storage that holds bytes of both origins; it grows as the storage does.
struct Origins {
  const char* base;
  std::pmr::vector<OriginRun> runs;
};

struct String {
  const char* data;
  size_t size;         // bytes
  size_t code_points;  // what Python calls its length
  Buffer<char>* buffer = nullptr;
  bool markup = false;               // a result of `safe` or `escape`: what joins it gets HTML-escaped
  Origin origin = Origin::kContent;  // of all bytes, where `origins` is null
  const Origins* origins = nullptr;  // of the storage that the bytes lie in

  std::string_view view() const { return {data, size}; }
  bool ascii() const { return size == code_points; }
};

struct List {
  const Value* data;
  size_t size;
  Buffer<Value>* buffer = nullptr;
  bool is_group = false;  // groupby's named tuple: .grouper, .list

  std::span<const Value> span() const { return {data, size}; }
};

inline constexpr size_t kMaxDigits = 4300;  // of an integer, as in Python

struct BigInt {
  std::string_view digits;
  double nearest;
};

struct Undefined {
  std::string_view hint;  // the whole message, where not empty
  Value object;           // what lacks `name`; missing: the name itself is undefined
  Value name;
};

// Insertion-ordered; keys compare as in Python (1 == 1.0 == true).
struct Dict {
  struct Entry {
    Value key, value;
  };
  explicit Dict(Heap& heap_) : heap(&heap_), entries(&heap_), index(&heap_) {}

  const Value* find(Value key) const;  // null where absent; throws for an unhashable key
  const Value* find(std::string_view key) const;
  void set(Value key, Value value);  // only while the dict is being made, and for namespaces

  Heap* heap;  // for the cost of looking up
  std::pmr::vector<Entry> entries;

 private:
  size_t slot_of(Value key, uint64_t hash) const;
  void rebuild_index();
  std::pmr::vector<uint32_t> index;  // open addressing, entry + 1; empty while there are few entries
};

struct View {
  enum class Part : uint8_t { kItems, kKeys, kValues } part;
  const Dict* dict;
};

struct Range {
  int64_t start, stop, step, size;
  int64_t at(int64_t i) const { return start + i * step; }
};

struct Iterator {
  const char* type;  // "generator"
  std::span<const Value> items;
  size_t next = 0;
};

struct Namespace {
  Dict* attributes;
};

struct Cycler {
  std::span<const Value> items;
  size_t position = 0;
};

struct Joiner {
  Value separator;
  bool used = false;
};

// A call's arguments.
struct Keyword {
  std::string_view name;
  Value value;
};
struct Args {
  std::span<const Value> positional;
  std::span<const Keyword> keywords;
};

class Runtime;
using MethodFunction = Value (*)(Runtime&, Value self, const Args&);

struct BoundMethod {
  std::string_view name;
  Value self;
  MethodFunction function;
};

struct Function {
  std::string_view name;
  Value (*function)(Runtime&, const Args&);
};

// Makers.
Value make_string(Heap& heap, std::string_view text, bool markup = false);  // copies; content
Value make_literal(Heap& heap, std::string_view text);                      // copies; the template's own
Value make_piece(Heap& heap, const String& of, size_t from, size_t size);   // bytes of `of`, shared; keeps markup
Value make_character(Heap& heap, const String& of, size_t& pos);            // the code point at a byte; pos moves past
Value as_markup(Heap& heap, const String& text, bool markup);
Value make_list(Heap& heap, std::span<const Value> items);                        // copies
Value make_tuple(Heap& heap, std::span<const Value> items);                       // copies
Value make_iterator(Heap& heap, const char* type, std::span<const Value> items);  // copies
Value make_undefined(Heap& heap, std::string_view hint);                          // copies the hint
Value make_undefined(Heap& heap, Value object, Value name);

// Calls each(begin, size, origin) for the stretches of one origin in bytes [from, from + size) of `text`.
template <class Each>
void each_origin(const String& text, size_t from, size_t size, Each&& each) {
  if (size == 0) return;
  if (text.origins == nullptr) return each(from, size, text.origin);
  const size_t shift = static_cast<size_t>(text.data - text.origins->base);  // of the text in its storage
  const auto& runs = text.origins->runs;                                     // by index: each() may append to them
  const auto first = std::upper_bound(runs.begin(), runs.end(), shift + from,
                                      [](size_t at, const OriginRun& run) { return at < run.end; });
  size_t i = static_cast<size_t>(first - runs.begin());
  for (size_t at = from, end = from + size; at < end; ++i) {
    const size_t stop = std::min(runs[i].end - shift, end);
    each(at, stop - at, runs[i].origin);
    at = stop;
  }
}

// left + right: the values stay, storage may be shared.
Value concat_strings(Heap& heap, const String& left, const String& right, bool markup);
const List* concat_lists(Heap& heap, const List& left, const List& right);

// "str", "NoneType", "list", ...
std::string_view type_name(Value value);
// What an undefined value says when it is used.
std::string undefined_message(Heap& heap, const Undefined& undefined);
[[noreturn]] void fail_undefined(Heap& heap, Value value);
// Fails for a name or member that is not there, where the heap is strict; `'a' if b` without an else is nothing.
void require_defined(Heap& heap, Value value);

uint64_t hash_of(Heap& heap, Value value);  // throws: unhashable type: 'list'

}  // namespace fieldprint::jinja
