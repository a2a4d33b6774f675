#include "ledger/cbor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "fieldprint/error.h"

namespace fieldprint::ledger {
namespace {

// Major types, RFC 8949, section 3.1.
enum Major : unsigned { kUnsigned = 0, kNegative = 1, kBytes = 2, kText = 3, kArray = 4, kMap = 5 };

[[noreturn]] void refuse(std::string what) { throw Error(ErrorKind::kBadInput, "CBOR: " + std::move(what)); }

[[noreturn]] void refuse_depth() {
  throw Error(ErrorKind::kLimit, fmt::format("CBOR: nested more than {} deep", kCborDepthMax));
}

// Bytewise order of the encoded keys: the major type comes first, and shortest forms sort as their numbers do.
bool key_before(int64_t a, int64_t b) { return (a < 0) != (b < 0) ? b < 0 : a < 0 ? a > b : a < b; }

constexpr const char* kNames[] = {"an integer", "a byte string", "a text", "an array", "a map"};

template <typename T, typename Variant>
const T& get(const Variant& value, size_t index) {
  if (const T* found = std::get_if<T>(&value)) return *found;
  refuse(fmt::format("{} stands where {} is expected", kNames[value.index()], kNames[index]));
}

}  // namespace

// Here, since an entry is complete only behind Value, which holds maps.
Map::Map() = default;
Map::Map(const Map&) = default;
Map::Map(Map&&) noexcept = default;
Map& Map::operator=(const Map&) = default;
Map& Map::operator=(Map&&) noexcept = default;
Map::~Map() = default;

Map::Map(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) set(entry.key, entry.value);
}

Map& Map::set(int64_t key, Value value) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), key,
                                   [](const Entry& entry, int64_t k) { return key_before(entry.key, k); });
  if (at != entries_.end() && at->key == key) {
    at->value = std::move(value);
  } else {
    entries_.insert(at, {key, std::move(value)});
  }
  return *this;
}

const Value* Map::find(int64_t key) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), key,
                                   [](const Entry& entry, int64_t k) { return key_before(entry.key, k); });
  return at != entries_.end() && at->key == key ? &at->value : nullptr;
}

const Value& Map::at(int64_t key) const {
  if (const Value* value = find(key)) return *value;
  refuse(fmt::format("a map without the key {}", key));
}

size_t Map::size() const { return entries_.size(); }

// Written out: clang 14 does not survive defaults that need each other.
bool Map::operator==(const Map& other) const { return entries_ == other.entries_; }
bool Entry::operator==(const Entry& other) const { return key == other.key && value == other.value; }
bool Value::operator==(const Value& other) const { return value_ == other.value_; }

int64_t Value::checked(int64_t number, bool positive) {
  if (positive && number < 0) throw Error(ErrorKind::kLimit, "CBOR: integers end at 2^63 - 1");
  return number;
}

int64_t Value::integer() const { return get<int64_t>(value_, 0); }
const Bytes& Value::bytes() const { return get<Bytes>(value_, 1); }
const std::string& Value::text() const { return get<std::string>(value_, 2); }
const Array& Value::array() const { return get<Array>(value_, 3); }
const Map& Value::map() const { return get<Map>(value_, 4); }

int64_t Value::integer(int64_t least, int64_t most) const {
  const int64_t number = integer();
  if (number < least || number > most) refuse(fmt::format("{} is not within {} to {}", number, least, most));
  return number;
}

class CborWriter {
 public:
  void put(const Value& value, int depth) {
    std::visit([&](const auto& v) { write(v, depth); }, value.value_);
  }
  Bytes out;

 private:
  // The shortest form that holds the argument.
  void head(Major major, uint64_t argument) {
    int size = 0;
    unsigned info = static_cast<unsigned>(argument);
    if (argument >= 24) {
      while (size < 3 && argument >> (8 << size) != 0) ++size;
      info = 24u + static_cast<unsigned>(size);
      size = 1 << size;
    }
    out.push_back(static_cast<std::byte>(major << 5 | info));
    while (size-- > 0) out.push_back(static_cast<std::byte>(argument >> (8 * size)));
  }
  void append(ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

  void write(int64_t number, int) {
    number < 0 ? head(kNegative, ~static_cast<uint64_t>(number)) : head(kUnsigned, static_cast<uint64_t>(number));
  }
  void write(const Bytes& bytes, int) {
    head(kBytes, bytes.size());
    append(bytes);
  }
  void write(const std::string& text, int) {
    if (!is_utf8(text)) refuse("a text that is not UTF-8");
    head(kText, text.size());
    append(view_of(text));
  }
  void write(const Array& array, int depth) {
    if (depth == kCborDepthMax) refuse_depth();
    head(kArray, array.size());
    for (const Value& value : array) put(value, depth + 1);
  }
  void write(const Map& map, int depth) {
    if (depth == kCborDepthMax) refuse_depth();
    head(kMap, map.size());
    for (const auto& [key, value] : map.entries()) {
      write(key, depth);
      put(value, depth + 1);
    }
  }
};

namespace {

class CborReader {
 public:
  explicit CborReader(ByteView bytes) : left_(bytes) {}

  Value value(int depth) {
    const auto [major, argument] = head();
    switch (major) {
      case kUnsigned:
      case kNegative:
        return integer(major, argument);
      case kBytes:
        return Bytes(take(argument));
      case kText: {
        const Bytes bytes = take(argument);
        if (!is_utf8(text_of(bytes))) refuse("a text that is not UTF-8");
        return std::string(text_of(bytes));
      }
      case kArray:
        return array(argument, depth);
      case kMap:
        return map(argument, depth);
      default:
        refuse("tags, floats and simple values do not belong here");
    }
  }
  bool done() const { return left_.empty(); }

 private:
  struct Head {
    unsigned major;
    uint64_t argument;
  };

  Head head() {
    const auto first = static_cast<unsigned>(byte());
    const unsigned info = first & 31;
    if (info < 24) return {first >> 5, info};
    if (info > 27) refuse("indefinite lengths and reserved forms do not belong here");
    const int size = 1 << (info - 24);
    uint64_t argument = 0;
    for (int i = 0; i < size; ++i) argument = argument << 8 | static_cast<uint64_t>(byte());
    const bool shortest = size == 1 ? argument >= 24 : argument >> (4 * size) != 0;
    if (!shortest) refuse("a number that is not in its shortest form");
    return {first >> 5, argument};
  }

  static int64_t integer(unsigned major, uint64_t argument) {
    if (argument > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) refuse("an integer beyond 64 bits");
    return major == kUnsigned ? static_cast<int64_t>(argument) : ~static_cast<int64_t>(argument);
  }

  // Each item takes a byte or more, so that no count makes memory grow beyond what the input is worth.
  void require_items(uint64_t count, int depth) const {
    if (depth == kCborDepthMax) refuse_depth();
    if (count > left_.size()) refuse("it ends too early");
  }

  Value array(uint64_t count, int depth) {
    require_items(count, depth);
    Array items;
    while (count-- > 0) items.push_back(value(depth + 1));
    return items;
  }

  Value map(uint64_t count, int depth) {
    require_items(count, depth);
    Map map;
    for (uint64_t i = 0; i < count; ++i) {
      const auto [major, argument] = head();
      if (major != kUnsigned && major != kNegative) refuse("a key of a map has to be an integer");
      const int64_t key = integer(major, argument);
      if (i > 0 && !key_before(map.entries().back().key, key)) refuse("keys of a map have to rise");
      map.set(key, value(depth + 1));
    }
    return map;
  }

  std::byte byte() {
    if (left_.empty()) refuse("it ends too early");
    const std::byte first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }

  Bytes take(uint64_t size) {
    if (size > left_.size()) refuse("it ends too early");
    const ByteView taken = left_.first(size);
    left_ = left_.subspan(size);
    return {taken.begin(), taken.end()};
  }

  ByteView left_;
};

}  // namespace

Bytes encode(const Value& value) {
  CborWriter writer;
  writer.put(value, 0);
  return std::move(writer.out);
}

// The reader is strict by itself; that the writer agrees is asked for all the same, since digests depend on it.
Value decode(ByteView bytes) {
  CborReader reader(bytes);
  Value value = reader.value(0);
  if (!reader.done()) refuse("something follows it");
  if (!std::ranges::equal(encode(value), bytes)) refuse("not in its canonical form");
  return value;
}

}  // namespace fieldprint::ledger
