#include "lineage.h"

#include <algorithm>

namespace fieldprint::verify {

std::string_view broken_rule(const Label& child, const Label& parent) {
  if (child.integrity > parent.integrity) return "label.integrity";
  if (!child.any_source) {
    if (parent.any_source) return "label.sources";
    if (!std::includes(child.source_ids.begin(), child.source_ids.end(), parent.source_ids.begin(),
                       parent.source_ids.end()))
      return "label.sources";
  }
  if (parent.readers) {
    if (!child.readers ||
        !std::includes(parent.readers->begin(), parent.readers->end(), child.readers->begin(), child.readers->end()))
      return "label.readers";
  }
  return {};
}

uint64_t greatest_integrity(RecordKind kind) {
  switch (kind) {
    case RecordKind::kObservation:
      return kIntegrityExternal;
    case RecordKind::kEvent:
      return kIntegrityWitnessed;
    default:
      return kIntegrityUser;
  }
}

void Lineage::begin() {
  if (++walk_ == 0) {  // after 2^32 walks
    std::fill(visited_.begin(), visited_.end(), 0);
    walk_ = 1;
  }
  stack_.clear();
}

std::optional<uint32_t> Lineage::ancestor(uint32_t record, const std::function<bool(uint32_t)>& wanted,
                                          const std::function<bool(uint32_t)>& within) {
  begin();
  stack_.push_back(record);
  while (!stack_.empty()) {
    const uint32_t child = stack_.back();
    stack_.pop_back();
    for (uint32_t parent : records_.lineage(child)) {
      if (steps_left_ == 0) return std::nullopt;
      --steps_left_;
      if (visited_[parent] == walk_) continue;
      visited_[parent] = walk_;
      if (wanted(parent)) return parent;
      if (within(parent)) stack_.push_back(parent);
    }
  }
  return std::nullopt;
}

void Lineage::descendants(uint32_t record, const std::function<bool(uint32_t)>& visit) {
  begin();
  stack_.push_back(record);
  while (!stack_.empty()) {
    const uint32_t parent = stack_.back();
    stack_.pop_back();
    for (uint32_t child : records_.children(parent)) {
      if (visited_[child] == walk_) continue;
      visited_[child] = walk_;
      if (visit(child)) stack_.push_back(child);
    }
  }
}

}  // namespace fieldprint::verify
