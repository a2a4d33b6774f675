#include "records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "stream.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

using cbor::Item;
using cbor::Type;

constexpr size_t kRecordBytesMax = 1 << 20;
constexpr size_t kSourcesMax = 64;
constexpr uint64_t kIntegrityMax = 5;

bool is_number(const Item& item, uint64_t most = INT64_MAX) {
  return item.type == Type::kUnsigned && item.number <= most;
}
bool is_bytes(const Item& item, size_t length) { return item.type == Type::kBytes && item.text.size() == length; }

// Fills `out` from an array of byte strings of `length`, or of text where that is 0, sorted by their bytes and each
// there once.
bool sorted_array(const Item& array, size_t length, std::vector<std::string_view>& out) {
  if (array.type != Type::kArray) return false;
  const Item* item = array.first();
  for (uint64_t i = 0; i < array.number; ++i, item = item->next()) {
    if (length == 0 ? item->type != Type::kText : !is_bytes(*item, length)) return false;
    if (!out.empty() && item->text <= out.back()) return false;
    out.push_back(item->text);
  }
  return true;
}

bool parse_label(const Item& map, Label& label) {
  if (map.type != Type::kMap || map.number < 2 || map.number > 3) return false;
  const Item* key = map.first();
  const auto take = [&](uint64_t number) -> const Item* {
    if (key->type != Type::kUnsigned || key->number != number) return nullptr;
    const Item* value = key->next();
    key = value->next();
    return value;
  };
  const Item* integrity = take(1);
  if (!integrity || !is_number(*integrity, kIntegrityMax)) return false;
  label.integrity = integrity->number;
  const Item* sources = take(2);
  if (!sources) return false;
  label.sources = sources->raw;
  label.any_source = is_number(*sources, 0);
  if (!label.any_source && (!sorted_array(*sources, 16, label.source_ids) || label.source_ids.size() > kSourcesMax))
    return false;
  if (map.number == 2) return true;
  const Item* readers = take(3);
  return readers && sorted_array(*readers, 0, label.readers.emplace());
}

bool is_embedding(const Item& map) {
  if (map.type != Type::kMap || map.number != 3) return false;
  const Item* key = map.first();
  for (uint64_t number = 1; number <= 3; ++number) {
    const Item& value = *key->next();
    if (key->type != Type::kUnsigned || key->number != number) return false;
    const bool good = number == 1   ? value.type == Type::kText
                      : number == 2 ? is_number(value) && value.number > 0
                                    : is_bytes(value, 32);
    if (!good) return false;
    key = value.next();
  }
  return true;
}

// Takes one field; false where its type or range is another.
bool take_field(uint64_t field, const Item& value, Record& out) {
  switch (field) {
    case 1:
      return value.type == Type::kUnsigned && value.number == 1;
    case 2:
      out.kind = static_cast<RecordKind>(value.number);
      return is_number(value, 5) && value.number >= 1;
    case 3:
      out.agent = value.text;
      return value.type == Type::kText;
    case 4:
      out.principal = value.text;
      return value.type == Type::kText && !value.text.empty();
    case 5:
      out.label_bytes = value.raw;
      return parse_label(value, out.label);
    case 6:
      out.base_size = value.number;
      return is_number(value);
    case 7:
      out.lineage_bytes = value.raw;
      return sorted_array(value, 32, out.lineage);
    case 8:
      out.payload = value.text;
      return is_bytes(value, 32);
    case 9:
      out.embedding = value.raw;
      return is_embedding(value);
    case 10:
      out.influence = value.number;
      return is_number(value, 7);
    case 11:
      out.confidence = value.number;
      return is_number(value, 100);
    case 12:
      out.valid_until = value.number;
      return is_number(value) && value.number > 0;
    case 13:
      out.supersedes = value.text;
      return is_bytes(value, 32);
    case 14:
      out.created = value.number;
      return is_number(value);
    default:
      return false;
  }
}

}  // namespace

std::optional<Record> parse_record(std::string_view bytes, std::vector<Item>& items, std::string_view& rule,
                                   std::string& error) {
  error = cbor::decode(bytes, items);
  if (!error.empty()) {
    rule = "cbor.canonical";
    error = "The record's CBOR " + error + ".";
    return std::nullopt;
  }
  rule = "record.form";
  const Item& map = items[0];
  Record record;
  uint32_t seen = 0;
  const Item* key = map.first();
  for (uint64_t i = 0; map.type == Type::kMap && i < map.number; ++i, key = key->next()->next()) {
    const uint64_t field = key->type == Type::kUnsigned ? key->number : 0;
    if (!take_field(field, *key->next(), record)) {
      error = fmt::format("Field {} of the record is unknown, of the wrong type or out of its range.", field);
      return std::nullopt;
    }
    seen |= 1U << field;
  }
  constexpr uint32_t kAll = (1U << 15) - 2, kOptional = 1U << 9 | 1U << 12 | 1U << 13;
  if ((seen | kOptional) != kAll) {
    error = "The record lacks a field.";
    return std::nullopt;
  }
  if ((record.influence & kPin) != 0 && record.kind != RecordKind::kAnchor) {
    rule = "record.influence";
    error = "Only a record of the kind ANC may be pinned.";
    return std::nullopt;
  }
  return record;
}

// Labels and names that records share, once. Deques: what they hold never moves, and views point to it.
struct Records::Interned {
  std::deque<std::string> names, label_bytes;
  std::deque<Label> labels;
  std::unordered_map<std::string_view, uint32_t> name_numbers, label_numbers;
  std::vector<Item> items;

  uint32_t name(std::string_view text) {
    const auto found = name_numbers.find(text);
    if (found != name_numbers.end()) return found->second;
    names.emplace_back(text);
    return name_numbers.emplace(names.back(), static_cast<uint32_t>(names.size() - 1)).first->second;
  }

  uint32_t label(const Record& record) {
    const auto found = label_numbers.find(record.label_bytes);
    if (found != label_numbers.end()) return found->second;
    const std::string& own = label_bytes.emplace_back(record.label_bytes);
    cbor::decode(own, items);
    parse_label(items[0], labels.emplace_back());  // the copy of a label that has been parsed before: it is one
    return label_numbers.emplace(own, static_cast<uint32_t>(labels.size() - 1)).first->second;
  }
};

Records::Records(const Files& files, Report& report) : interned_(std::make_unique<Interned>()) {
  file_ = open_file(files, "records", report);
  if (file_) {
    read_ids(report);
    read_fields(report);
  }
  link_children();
}

Records::~Records() = default;

void Records::read_ids(Report& report) {
  Stream stream(*file_);
  bool sorted = true;
  while (stream.left() > 0) {
    const uint64_t frame = stream.at();
    const std::optional<std::string_view> head = stream.left() < 4 ? std::nullopt : stream.take(4);
    const uint32_t length = head ? little_endian(*head) : 0;
    if (!head || length == 0 || length > kRecordBytesMax || length > stream.left()) {
      report.fault(
          "records.form",
          fmt::format("At byte {} there is no record behind its length, of at most {} bytes.", frame, kRecordBytesMax),
          {.file = "records"});
      break;
    }
    const uint64_t offset = stream.at();
    const std::optional<std::string_view> bytes = stream.take(length);
    if (!bytes) {
      report.fault("export.read", "The file cannot be read to its end.", {.file = "records"});
      break;
    }
    const Hash id = digest("record", *bytes);
    if (!ids_.empty() && id <= ids_.back()) {
      report.fault("records.order", "The record is not behind those of smaller ids, or is there twice.",
                   {.file = "records", .record = id});
      sorted = false;
    }
    ids_.push_back(id);
    entries_.push_back({.offset = offset, .length = length});
    if (ids_.size() == kNone - 1) break;
  }
  if (!sorted) {  // so that the other rules can be checked all the same
    std::vector<uint32_t> order(ids_.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return ids_[a] < ids_[b]; });
    std::vector<Hash> ids;
    std::vector<Entry> entries;
    for (uint32_t i : order) {
      if (!ids.empty() && ids.back() == ids_[i]) continue;
      ids.push_back(ids_[i]);
      entries.push_back(entries_[i]);
    }
    ids_ = std::move(ids);
    entries_ = std::move(entries);
  }
  buckets_.assign((1 << 16) + 1, size());
  for (uint32_t i = size(); i-- > 0;) buckets_[static_cast<size_t>(ids_[i][0]) << 8 | ids_[i][1]] = i;
  for (size_t bucket = 1 << 16; bucket-- > 0;) buckets_[bucket] = std::min(buckets_[bucket], buckets_[bucket + 1]);
}

void Records::read_fields(Report& report) {
  Stream stream(*file_);
  std::vector<Item> items;
  for (uint32_t i = 0; i < size(); ++i) {
    Entry& entry = entries_[i];
    const Place place{.file = "records", .record = ids_[i]};
    stream.seek(entry.offset);
    const std::optional<std::string_view> bytes = stream.take(entry.length);
    if (!bytes || digest("record", *bytes) != ids_[i]) {
      report.fault("export.read", "The file has changed while it was read.", place);
      continue;
    }
    std::string_view rule;
    std::string error;
    const std::optional<Record> record = parse_record(*bytes, items, rule, error);
    if (!record) {
      report.fault(rule, error, place);
      continue;
    }
    entry.readable = true;
    entry.kind = record->kind;
    entry.influence = static_cast<uint8_t>(record->influence);
    entry.label = interned_->label(*record);
    entry.principal = interned_->name(record->principal);
    entry.agent = interned_->name(record->agent);
    entry.base_size = record->base_size;
    entry.valid_until = record->valid_until;
    entry.created = record->created;
    if (!record->supersedes.empty()) {
      entry.supersedes = find(to_hash(record->supersedes));
      entry.supersedes_unknown = entry.supersedes == kNone;
    }
    entry.lineage_begin = lineage_.size();
    for (std::string_view id : record->lineage) {
      const uint32_t parent = find(to_hash(id));
      if (parent == kNone) entry.lineage_unknown = true;
      else lineage_.push_back(parent);
    }
    entry.lineage_count = static_cast<uint32_t>(lineage_.size() - entry.lineage_begin);
  }
}

void Records::link_children() {
  children_begin_.assign(size() + size_t{1}, 0);
  for (uint32_t parent : lineage_) ++children_begin_[parent + 1];
  for (uint32_t i = 0; i < size(); ++i) children_begin_[i + 1] += children_begin_[i];
  children_.resize(lineage_.size());
  std::vector<uint64_t> next(children_begin_.begin(), children_begin_.end() - 1);
  for (uint32_t i = 0; i < size(); ++i) {
    for (uint32_t parent : lineage(i)) children_[next[parent]++] = i;
  }
}

uint32_t Records::find(const Hash& id) const {
  if (ids_.empty()) return kNone;
  const size_t bucket = static_cast<size_t>(id[0]) << 8 | id[1];
  const auto end = ids_.begin() + buckets_[bucket + 1];
  const auto found = std::lower_bound(ids_.begin() + buckets_[bucket], end, id);
  return found != end && *found == id ? static_cast<uint32_t>(found - ids_.begin()) : kNone;
}

std::span<const uint32_t> Records::lineage(uint32_t record) const {
  return {lineage_.data() + entries_[record].lineage_begin, entries_[record].lineage_count};
}

std::span<const uint32_t> Records::children(uint32_t record) const {
  return {children_.data() + children_begin_[record], children_begin_[record + 1] - children_begin_[record]};
}

const Label& Records::label(uint32_t record) const {
  assert(entries_[record].readable);
  return interned_->labels[entries_[record].label];
}

std::string_view Records::name(uint32_t number) const { return interned_->names[number]; }

std::optional<std::string> Records::bytes(uint32_t record) const {
  std::string bytes(entries_[record].length, '\0');
  if (!file_->read(entries_[record].offset, bytes.data(), bytes.size()) || digest("record", bytes) != ids_[record])
    return std::nullopt;
  return bytes;
}

}  // namespace fieldprint::verify
