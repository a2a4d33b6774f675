// Embeddings of one principal's records by one encoder, to be searched. A graph (HNSW, hnswlib) proposes where there
// are many; the exact INT8 product decides, ties by id, so that the answer does not depend on the machine. There is one
// index for each principal: nothing of another can be found in it. It is a cache: what it gives is checked again by
// whoever uses it (recall.h).
//
// The graph is built beside the work, by a thread of its own; until it is there all records are looked at.
//
// One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "memory/encoder.h"
#include "memory/record.h"

namespace fieldprint::memory {

struct Hit {
  RecordId id;
  int32_t score;  // INT8 product
};

class VectorIndex {
 public:
  static constexpr size_t kGraphFrom = 5000;  // records; below, all are looked at

  explicit VectorIndex(int dimensions);
  ~VectorIndex();
  VectorIndex(VectorIndex&&) noexcept;

  void add(const RecordId& id, std::span<const int8_t> codes);  // once an id
  void remove(const RecordId& id);
  // The `limit` best that `allowed` lets pass, best first.
  std::vector<Hit> search(std::span<const int8_t> query, size_t limit,
                          const std::function<bool(const RecordId&)>& allowed);
  size_t size() const;
  bool has_graph() const;  // of all that was there a while ago

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint::memory
