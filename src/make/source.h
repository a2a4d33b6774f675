// A model to be written anew, wherever it comes from: its metadata, and tensors whose rows can be asked for one by one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "models/adapter.h"

namespace fieldprint {

struct SourceTensor {
  std::string name;  // as GGUF files have it
  const QuantType* type = nullptr;
  int dims = 1;
  std::array<uint64_t, 4> shape{1, 1, 1, 1};  // fastest first
  std::vector<const std::byte*> parts;  // of the same number of rows each, of any alignment: one, or one an expert
  // Where the rows of a part come from, where a row's columns do; empty: from the same place.
  std::vector<uint32_t> row_order, column_order;
  bool transposed = false;  // the one part, of single numbers, has the tensor's columns as its rows
  // What it is written as where nobody asks for another type; nullptr: `type`.
  const QuantType* kept = nullptr;
  std::vector<LowRank> additions = {};  // of matrices in float32, to whichever values the parts hold

  const QuantType& kept_type() const { return kept != nullptr ? *kept : *type; }
  uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  uint64_t rows() const { return elements() / shape[0]; }
  uint64_t row_bytes() const { return type->bytes(shape[0]); }
  uint64_t bytes() const { return type->bytes(elements()); }
  bool is_contiguous() const { return parts.size() == 1 && row_order.empty() && column_order.empty() && !transposed; }

  // [row_bytes]. Only rows of single numbers can have their columns in another order.
  void copy_row(uint64_t index, std::byte* out) const {
    const auto size = static_cast<size_t>(type->block_bytes);
    if (transposed) {
      for (uint64_t column = 0; column < shape[0]; ++column)
        std::memcpy(out + column * size, parts[0] + (column * rows() + index) * size, size);
      return;
    }
    const uint64_t rows_per_part = rows() / parts.size(), within = index % rows_per_part;
    const std::byte* row =
        parts[index / rows_per_part] + (row_order.empty() ? within : row_order[within]) * row_bytes();
    if (column_order.empty()) {
      std::memcpy(out, row, row_bytes());
      return;
    }
    for (const uint32_t column : column_order) {
      std::memcpy(out, row + column * size, size);
      out += size;
    }
  }
};

struct SourceModel {
  std::unique_ptr<GgufWriter> writer = std::make_unique<GgufWriter>();  // with the metadata set, and no tensor
  std::vector<SourceTensor> tensors;
  std::vector<std::shared_ptr<const void>> files;  // that the parts lie in
  std::deque<std::vector<float>> made;             // parts that no file has as they are wanted
  std::deque<Adapter> adapters;                    // that additions lie in
};

// A GGUF file, or a folder that open_hugging_face takes. Adapters are for files alone: Error kUsage for a folder.
SourceModel open_source(const std::string& path, std::span<const AdapterFile> adapters = {});
SourceModel source_of(std::shared_ptr<const GgufFile> file);

// A folder with config.json, the weights in safetensors and tokenizer.json, of an architecture that this project runs.
// Throws Error kNotFound, kIo, kBadFile, kUnsupported: a sentence that names file and key.
SourceModel open_hugging_face(const std::string& folder);

}  // namespace fieldprint
