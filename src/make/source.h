// A model to be written anew, wherever it comes from: its metadata, and tensors whose rows can be asked for one by one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "gguf/gguf.h"

namespace fieldprint {

struct SourceTensor {
  std::string name;  // as GGUF files have it
  const QuantType* type = nullptr;
  int dims = 1;
  std::array<uint64_t, 4> shape{1, 1, 1, 1};  // fastest first
  std::vector<const std::byte*> parts;  // of the same number of rows each, of any alignment: one, or one an expert
  uint64_t rotary_heads =
      0;  // of so many heads, rows i and i + half of one become neighbours; 0: rows stay where they are

  uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  uint64_t rows() const { return elements() / shape[0]; }
  uint64_t row_bytes() const { return type->bytes(shape[0]); }
  uint64_t bytes() const { return type->bytes(elements()); }
  bool is_contiguous() const { return parts.size() == 1 && rotary_heads == 0; }

  const std::byte* row(uint64_t index) const {
    const uint64_t rows_per_part = rows() / parts.size();
    const std::byte* part = parts[index / rows_per_part];
    uint64_t within = index % rows_per_part;
    if (rotary_heads != 0) {
      const uint64_t head_rows = rows_per_part / rotary_heads, row = within % head_rows;
      within = within - row + row % 2 * (head_rows / 2) + row / 2;
    }
    return part + within * row_bytes();
  }
};

struct SourceModel {
  std::unique_ptr<GgufWriter> writer = std::make_unique<GgufWriter>();  // with the metadata set, and no tensor
  std::vector<SourceTensor> tensors;
  std::vector<std::shared_ptr<const void>> files;  // that the parts lie in
  std::deque<std::vector<float>> made;             // parts that no file has
};

// A GGUF file, or a folder that open_hugging_face takes.
SourceModel open_source(const std::string& path);

// A folder with config.json, the weights in safetensors and tokenizer.json, of an architecture that this project runs.
// Throws Error kNotFound, kIo, kBadFile, kUnsupported: a sentence that names file and key.
SourceModel open_hugging_face(const std::string& folder);

}  // namespace fieldprint
