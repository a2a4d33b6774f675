#include "memory/label.h"

#include <algorithm>
#include <iterator>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {
constexpr std::string_view kNames[] = {"HOSTILE", "EXTERNAL", "USER", "WITNESSED", "ENDORSED", "POLICY"};
}

std::string_view integrity_name(Integrity integrity) { return kNames[static_cast<int>(integrity)]; }

SourceId source_id(std::string_view adapter, std::string_view principal, std::string_view uri) {
  const Digest digest = ledger::tagged_digest("source", ledger::encode(ledger::Array{adapter, principal, uri}));
  SourceId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

Sources::Sources(std::vector<SourceId> ids) : ids_(std::move(ids)) {
  std::sort(ids_.begin(), ids_.end());
  ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
  if (ids_.size() > kMost) *this = any();
}

Sources Sources::any() {
  Sources sources;
  sources.any_ = true;
  return sources;
}

bool Sources::holds(const SourceId& id) const { return any_ || std::binary_search(ids_.begin(), ids_.end(), id); }

bool Sources::holds_all(const Sources& others) const {
  if (any_) return true;
  return !others.any_ && std::includes(ids_.begin(), ids_.end(), others.ids_.begin(), others.ids_.end());
}

Sources Sources::joined(const Sources& other) const {
  if (any_ || other.any_) return any();
  std::vector<SourceId> both;
  std::set_union(ids_.begin(), ids_.end(), other.ids_.begin(), other.ids_.end(), std::back_inserter(both));
  return Sources(std::move(both));
}

ledger::Value Sources::cbor() const {
  if (any_) return 0;
  ledger::Array ids;
  for (const SourceId& id : ids_) ids.emplace_back(ledger::ByteView(id));
  return ids;
}

Sources Sources::from_cbor(const ledger::Value& value) {
  if (value == ledger::Value(0)) return any();
  std::vector<SourceId> ids;
  for (const ledger::Value& item : value.array()) {
    const ledger::Bytes& bytes = item.bytes();
    SourceId id;
    if (bytes.size() != id.size()) throw Error(ErrorKind::kBadInput, "a source id is not 16 bytes long");
    std::copy(bytes.begin(), bytes.end(), id.begin());
    ids.push_back(id);
  }
  Sources sources(ids);
  if (sources.ids_ != ids) throw Error(ErrorKind::kBadInput, "source ids are not sorted, or too many");
  return sources;
}

Label join(const Label& a, const Label& b) {
  Label label{std::min(a.integrity, b.integrity), a.sources.joined(b.sources), a.readers ? a.readers : b.readers};
  if (a.readers && b.readers) {
    std::set<std::string> both;
    std::set_intersection(a.readers->begin(), a.readers->end(), b.readers->begin(), b.readers->end(),
                          std::inserter(both, both.end()));
    label.readers = std::move(both);
  }
  return label;
}

bool at_most(const Label& child, const Label& parent) {
  if (child.integrity > parent.integrity || !child.sources.holds_all(parent.sources)) return false;
  if (!parent.readers) return true;
  return child.readers &&
         std::includes(parent.readers->begin(), parent.readers->end(), child.readers->begin(), child.readers->end());
}

}  // namespace fieldprint::memory
