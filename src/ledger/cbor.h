// Canonical CBOR: the one encoding of what is hashed (RFC 8949, section 4.2.1, core deterministic encoding), of a
// subset: integers of 64 bits with a sign, byte strings, text, arrays, maps whose keys are integers. There is nothing
// else: no floats, tags, simple values or indefinite lengths. So decode(encode(x)) = x, and encode(decode(b)) = b or b
// is refused.
//
// Text has to be valid UTF-8. It is compared as bytes and never normalised: who makes a text from what a person typed
// brings it into NFC first, else what looks like one text may be two.
//
// Values are plain data: no thread may change one while another reads it.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ledger/bytes.h"

namespace fieldprint::ledger {

class Value;
struct Entry;
using Array = std::vector<Value>;

// In the order of the encoded keys: 0, 1, 2, ..., then -1, -2, ...
class Map {
 public:
  Map();
  Map(const Map&);
  Map(Map&&) noexcept;
  Map& operator=(const Map&);
  Map& operator=(Map&&) noexcept;
  ~Map();
  Map(std::initializer_list<Entry> entries);  // as set() one after the other

  Map& set(int64_t key, Value value);  // new, or instead of what the key had
  const Value* find(int64_t key) const;
  const Value& at(int64_t key) const;  // Error kBadInput where the key is missing
  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const;
  bool operator==(const Map&) const;

 private:
  std::vector<Entry> entries_;
};

class Value {
 public:
  Value() : value_(int64_t{0}) {}
  // Error kLimit above 2^63 - 1.
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) Value(T number)
      : value_(checked(static_cast<int64_t>(number), number > 0)) {}
  Value(Bytes bytes) : value_(std::move(bytes)) {}
  Value(ByteView bytes) : value_(Bytes(bytes.begin(), bytes.end())) {}
  Value(std::string text) : value_(std::move(text)) {}
  Value(std::string_view text) : value_(std::string(text)) {}
  Value(const char* text) : value_(std::string(text)) {}
  Value(Array array) : value_(std::move(array)) {}
  Value(Map map) : value_(std::move(map)) {}

  // Error kBadInput where the value is of another kind.
  int64_t integer() const;
  int64_t integer(int64_t least, int64_t most) const;  // Error kBadInput outside these too
  const Bytes& bytes() const;
  const std::string& text() const;
  const Array& array() const;
  const Map& map() const;

  // visitor(int64_t or const Bytes&, std::string&, Array&, Map&).
  template <class Visitor>
  decltype(auto) visit(Visitor&& visitor) const {
    return std::visit(std::forward<Visitor>(visitor), value_);
  }

  bool operator==(const Value& other) const;

 private:
  friend class CborWriter;
  static int64_t checked(int64_t number, bool positive);
  std::variant<int64_t, Bytes, std::string, Array, Map> value_;
};

struct Entry {
  int64_t key;
  Value value;
  bool operator==(const Entry& other) const;
};

// Arrays and maps within each other; a value that is none has depth 0.
inline constexpr int kCborDepthMax = 16;

// Error kBadInput for text that is not UTF-8, kLimit for what is nested too deeply: what decode() would not take back.
Bytes encode(const Value& value);

// One value that fills all of `bytes`. Error kBadInput for whatever encode() would not have written. Memory is at most
// about sizeof(Value) for each byte of input.
Value decode(ByteView bytes);

}  // namespace fieldprint::ledger
