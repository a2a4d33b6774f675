#include "events.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "text.h"

namespace fieldprint::verify {
namespace {

using cbor::Item;
using cbor::Type;

struct Row {
  std::string_view name;
  std::initializer_list<Field> fields;  // beside those of every event
  std::initializer_list<Field> optional = {};
};

// By number, from 1.
const std::array<Row, 21> kEvents = {{
    {"GENESIS", {kOrigin, kAgent, kKeys, kPolicyField, kInstance}, {kAbandoned}},
    {"KEY", {kNote}},
    {"POLICY", {kNote, kPolicyField}},
    {"ADMIT", {kRecord, kRecordKind, kIntegrity}, {kValidUntil}},
    {"QUARANTINE", {kRecord, kRecordKind, kIntegrity, kCause}, {kValidUntil}},
    {"PROPOSE", {kRecord, kRecordKind, kIntegrity}, {kValidUntil}},
    {"ENDORSE", {kNote, kRecord, kOther}, {kValidUntil}},
    {"COMPILE", {kRecord, kPages, kModel, kLayout, kTokens}},
    {"ACTIVATE", {kRecord, kAnchorSet}},
    {"SUSPEND", {kRecord, kCause}},
    {"RELEASE", {kNote, kRecord}},
    {"SUPERSEDE", {kNote, kRecord, kOther}},
    {"REVOKE", {kRecord}, {kNote, kCommand}},  // exactly one of the two
    {"EXPIRE", {kRecord}},
    {"ERASE", {kRecord}},
    {"RECEIPT", {kQuery, kEncoder, kIds, kScores, kSession, kPrincipal}},
    {"COMMIT",
     {kIntegrity, kModel, kAnchorSet, kSession, kBoundary, kTokenIds, kSources, kHidden, kChain, kFrom, kTo,
      kCommitCause}},
    {"ROLLBACK", {kCause, kIds, kSession, kFrom, kTo, kPagesDropped}},
    {"ALARM", {kCause, kDetail}},
    {"OVERRIDE", {kCommand}},
    {"STATE", {kRoot, kRows}},
}};

constexpr uint64_t kIntegrityMax = 5;

bool is_digest(const Item& item) { return item.type == Type::kBytes && item.text.size() == 32; }

bool all_of(const Item& array, bool (*good)(const Item&)) {
  const Item* item = array.first();
  for (uint64_t i = 0; i < array.number; ++i, item = item->next()) {
    if (!good(*item)) return false;
  }
  return true;
}

bool is_number(const Item& item) { return item.type == Type::kUnsigned && item.number >> 63 == 0; }

bool is_score(const Item& item) {
  return (item.type == Type::kUnsigned || item.type == Type::kNegative) && item.number >> 63 == 0;
}

bool is_key(const Item& item) {
  return item.type == Type::kArray && item.number == 2 && is_number(*item.first()) &&
         item.first()->next()->type == Type::kText;
}

bool has_type(unsigned field, const Item& item) {
  switch (field) {
    case kActor:
    case kOrigin:
    case kAgent:
    case kCause:
    case kLayout:
    case kCommand:
    case kEncoder:
    case kSession:
    case kPrincipal:
    case kCommitCause:
    case kDetail:
      return item.type == Type::kText;
    case kAbandoned:
    case kRecord:
    case kOther:
    case kPages:
    case kModel:
    case kAnchorSet:
    case kQuery:
    case kTokenIds:
    case kSources:
    case kHidden:
    case kChain:
    case kRoot:
      return is_digest(item);
    case kIntegrity:
      return is_number(item) && item.number <= kIntegrityMax;
    case kInstance:
      return item.type == Type::kBytes && item.text.size() == 16;
    case kKeys:
      return item.type == Type::kArray && all_of(item, is_key);
    case kIds:
      return item.type == Type::kArray && all_of(item, is_digest);
    case kScores:
      return item.type == Type::kArray && all_of(item, is_score);
    case kPolicyField:
      return item.type == Type::kMap;
    default:
      return is_number(item);
  }
}

bool contains(const std::initializer_list<Field>& fields, unsigned field) {
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

// The forms of field 4.
bool is_actor(std::string_view actor) {
  if (!is_note_text(actor) || actor.find('\n') != std::string_view::npos) return false;
  for (std::string_view prefix : {"principal:", "key:"}) {
    if (actor.starts_with(prefix)) return actor.size() > prefix.size();
  }
  for (std::string_view name : {"gateway", "engine", "monitor", "clock", "override", "init"}) {
    if (actor == name) return true;
  }
  return false;
}

}  // namespace

std::string_view name_of(EventKind kind) { return kEvents[static_cast<size_t>(kind) - 1].name; }

std::string_view Event::parse(std::string_view leaf, std::string& error) {
  constexpr std::string_view kFaultyFields = "event.fields";
  fields_ = {};
  error = cbor::decode(leaf, items_);
  if (!error.empty()) {
    error = "The event's CBOR " + error + ".";
    return "cbor.canonical";
  }
  const Item& map = items_[0];
  if (map.type != Type::kMap) {
    error = "The event is not a map.";
    return kFaultyFields;
  }
  const Item* item = map.first();
  for (uint64_t i = 0; i < map.number; ++i) {
    const Item& key = *item;
    const Item& value = *key.next();
    if (key.type != Type::kUnsigned || key.number >= kFieldEnd) {
      error = "The event has a field that no event has.";
      return kFaultyFields;
    }
    if (!has_type(static_cast<unsigned>(key.number), value)) {
      error = fmt::format("Field {} is of the wrong type or out of its range.", key.number);
      return kFaultyFields;
    }
    fields_[key.number] = &value;
    item = value.next();
  }
  if (!has(kVersion) || number(kVersion) != 1 || !has(kKindField) || number(kKindField) < 1 ||
      number(kKindField) > kEvents.size() || !has(kTime) || !has(kActor)) {
    error = "The event lacks its version 1, a known number, a time or an actor.";
    return kFaultyFields;
  }
  kind_ = static_cast<EventKind>(number(kKindField));
  const Row& row = kEvents[number(kKindField) - 1];
  for (unsigned field = kActor + 1; field < kFieldEnd; ++field) {
    const bool may = contains(row.optional, field), must = contains(row.fields, field);
    const bool there = fields_[field] != nullptr;
    if (there == must || (there && may)) continue;
    error = fmt::format("{} {} field {}.", row.name, there ? "does not have a" : "lacks", field);
    return kFaultyFields;
  }
  if (kind_ == EventKind::kRevoke && has(kNote) == has(kCommand)) {
    error = "REVOKE needs either a note or the override's command.";
    return kFaultyFields;
  }
  if (has(kIds) && has(kScores) && fields_[kIds]->number != fields_[kScores]->number) {
    error = "There are not as many scores as ids.";
    return kFaultyFields;
  }
  if (!is_actor(text(kActor))) {
    error = fmt::format("{} is not an actor.", printable(text(kActor)));
    return "event.actor";
  }
  return {};
}

}  // namespace fieldprint::verify
