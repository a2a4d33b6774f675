#include "cbor.h"

#include <fmt/format.h>

#include "text.h"

namespace fieldprint::verify::cbor {
namespace {

// Deeper than any value of the format, and shallow enough for recursion.
constexpr int kDepthMax = 8;

// Major types of RFC 8949 section 3.1, in the order of Type.
constexpr uint8_t kMajorTypes = 6;

class Decoder {
 public:
  Decoder(std::string_view bytes, std::vector<Item>& items) : bytes_(bytes), items_(items) {}

  std::string run() {
    value(0);
    if (error_.empty() && at_ != bytes_.size()) fail("has bytes behind its end");
    return error_;
  }

 private:
  bool fail(std::string_view what) {
    if (error_.empty()) error_ = fmt::format("{} (byte {})", what, at_);
    return false;
  }

  uint8_t byte(size_t at) const { return static_cast<uint8_t>(bytes_[at]); }

  // Reads a head: its type and its number, the latter in its shortest form.
  bool head(Item& item) {
    if (at_ >= bytes_.size()) return fail("ends too early");
    const uint8_t first = byte(at_);
    const uint8_t major = first >> 5, info = first & 31;
    if (major >= kMajorTypes) return fail("has a tag, a float or a simple value");
    item.type = static_cast<Type>(major);
    if (info < 24) {
      item.number = info;
      ++at_;
      return true;
    }
    if (info > 27) return fail("has an indefinite or reserved length");
    const size_t length = size_t{1} << (info - 24);
    if (bytes_.size() - at_ - 1 < length) return fail("ends too early");
    item.number = 0;
    for (size_t i = 0; i < length; ++i) item.number = item.number << 8 | byte(at_ + 1 + i);
    const uint64_t least = length == 1 ? 24 : uint64_t{1} << (length * 4);  // what the next shorter form cannot hold
    if (item.number < least) return fail("has a number that is not in its shortest form");
    at_ += 1 + length;
    return true;
  }

  bool value(int depth) {
    const size_t begin = at_;
    const size_t index = items_.size();
    Item item;
    if (!head(item)) return false;
    if (item.type == Type::kBytes || item.type == Type::kText) {
      if (item.number > bytes_.size() - at_) return fail("ends too early");
      item.text = bytes_.substr(at_, item.number);
      at_ += item.number;
      if (item.type == Type::kText && !is_utf8(item.text)) return fail("has text that is not UTF-8");
    }
    items_.push_back(item);
    if (item.type == Type::kArray || item.type == Type::kMap) {
      // Each element takes a byte at least: a count that promises more is refused before anything is made of it.
      if (item.number > bytes_.size() - at_) return fail("ends too early");
      if (depth + 1 >= kDepthMax) return fail("is nested too deeply");
      if (!(item.type == Type::kArray ? array(item.number, depth) : map(item.number, depth))) return false;
    }
    items_[index].raw = bytes_.substr(begin, at_ - begin);
    items_[index].items = static_cast<uint32_t>(items_.size() - index);
    return true;
  }

  bool array(uint64_t count, int depth) {
    for (uint64_t i = 0; i < count; ++i) {
      if (!value(depth + 1)) return false;
    }
    return true;
  }

  bool map(uint64_t count, int depth) {
    std::string_view before;
    for (uint64_t i = 0; i < count; ++i) {
      const size_t key = items_.size();
      if (!value(depth + 1)) return false;
      if (items_[key].type != Type::kUnsigned && items_[key].type != Type::kNegative)
        return fail("has a key that is not an integer");
      if (i > 0 && items_[key].raw <= before) return fail("has keys out of order or twice");
      before = items_[key].raw;
      if (!value(depth + 1)) return false;
    }
    return true;
  }

  std::string_view bytes_;
  std::vector<Item>& items_;
  size_t at_ = 0;
  std::string error_;
};

}  // namespace

std::string decode(std::string_view bytes, std::vector<Item>& items) {
  items.clear();
  if (bytes.size() > UINT32_MAX) return "is too large";
  return Decoder(bytes, items).run();
}

void put_head(std::string& out, Type type, uint64_t number) {
  const int major = static_cast<int>(type) << 5;
  if (number < 24) {
    out += static_cast<char>(major | static_cast<int>(number));
    return;
  }
  const int log2 = number <= UINT8_MAX ? 0 : number <= UINT16_MAX ? 1 : number <= UINT32_MAX ? 2 : 3;
  out += static_cast<char>(major | (24 + log2));
  for (int shift = (8 << log2) - 8; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

void put_bytes(std::string& out, std::string_view bytes) {
  put_head(out, Type::kBytes, bytes.size());
  out += bytes;
}

void put_text(std::string& out, std::string_view text) {
  put_head(out, Type::kText, text.size());
  out += text;
}

}  // namespace fieldprint::verify::cbor
