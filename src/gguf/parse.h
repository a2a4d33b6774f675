// The bytes of a GGUF file as tables of views. Everything that a file can get wrong is found here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gguf/gguf.h"

namespace fieldprint {

// Which file of a model's several this is. A matter of files, not of the model: the keys are not among its metadata.
struct GgufSplit {
  uint64_t number = 0, count = 1;   // split.no, split.count
  std::optional<uint64_t> tensors;  // split.tensors.count: of all files
};

struct GgufContents {
  uint32_t version = 0;
  GgufSplit split;
  std::vector<std::pair<std::string_view, GgufValue>> metadata;  // in file order
  std::vector<GgufTensor> tensors;                               // in file order
  std::unordered_map<std::string_view, size_t> keys;             // place in metadata
  std::unordered_map<std::string_view, size_t> names;            // place in tensors
};

// Throws Error as GgufFile::open does. Views point into `bytes`; `path` stands in messages.
GgufContents parse_gguf(std::span<const std::byte> bytes, const std::string& path);

uint64_t gguf_kind_bytes(GgufKind kind);  // of one value; 0 for strings and arrays

// 'name' for a message: what does not print is escaped, what is long is cut.
std::string gguf_quoted(std::string_view name);

}  // namespace fieldprint
