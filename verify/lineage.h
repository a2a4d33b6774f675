// What records descend from, and what of their labels follows from that (docs/formats/memory.md, "Label rule").
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "records.h"

namespace fieldprint::verify {

// The rule that a label breaks beside one that it derives from ("label.integrity", "label.sources", "label.readers"),
// or nothing.
std::string_view broken_rule(const Label& child, const Label& parent);

// The greatest integrity that a record of this kind has without an endorsement.
uint64_t greatest_integrity(RecordKind kind);

// Walks over lineages. Each walk visits a record once; all walks together are bounded, since a hostile export could ask
// for the whole graph a million times.
class Lineage {
 public:
  explicit Lineage(const Records& records) : records_(records), visited_(records.size(), 0) {}

  // The first record that `record` descends from and for which `wanted` holds; of those, no ancestors are visited for
  // which `within` does not hold. Nothing too where the bound is reached: see exhausted().
  std::optional<uint32_t> ancestor(uint32_t record, const std::function<bool(uint32_t)>& wanted,
                                   const std::function<bool(uint32_t)>& within);
  // Calls `visit` for each record that descends from `record`; where it returns false, not for what descends from that
  // one.
  void descendants(uint32_t record, const std::function<bool(uint32_t)>& visit);

  bool exhausted() const { return steps_left_ == 0; }

 private:
  void begin();

  const Records& records_;
  std::vector<uint32_t> visited_;  // the walk that visited it last
  uint32_t walk_ = 0;
  uint64_t steps_left_ = 500'000'000;
  std::vector<uint32_t> stack_;
};

}  // namespace fieldprint::verify
