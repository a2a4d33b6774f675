// Canonical CBOR (RFC 8949 section 4.2.1) in the subset of docs/formats/memory.md: integers, byte strings, UTF-8 text,
// arrays, maps with integer keys. There is one encoding of a value, and any other is refused: integers in their
// shortest form, definite lengths, keys in order and once. So two different byte strings never mean the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::verify::cbor {

enum class Type : uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap };

// One value. Items of a document stand in an array in the order of the text, so what an array or a map holds follows
// it; of a map, key and value take turns.
struct Item {
  Type type = Type::kUnsigned;
  uint64_t number = 0;    // kUnsigned: the value; kNegative: -1 minus the value; kArray: elements; kMap: pairs
  std::string_view text;  // kBytes, kText: the content
  std::string_view raw;   // the encoding
  uint32_t items = 1;     // this one and all below it

  const Item* next() const { return this + items; }  // behind it, in what holds it
  const Item* first() const { return this + 1; }     // what it holds, if anything
};

// Decodes one value that fills `bytes`. Items are views into `bytes`, valid as long as it is and until the next call
// with the same vector. Returns what is wrong as a sentence's end ("has ..."), or an empty string.
std::string decode(std::string_view bytes, std::vector<Item>& items);

// For the few values that the checker builds itself, to compare or to hash them.
void put_head(std::string& out, Type type, uint64_t number);
inline void put_unsigned(std::string& out, uint64_t value) { put_head(out, Type::kUnsigned, value); }
void put_bytes(std::string& out, std::string_view bytes);
void put_text(std::string& out, std::string_view text);

}  // namespace fieldprint::verify::cbor
