#include "memory/event.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

struct Form {
  std::string_view name;
  uint64_t needed = 0, may = 0;  // fields as bits
};

constexpr uint64_t bit(Field field) { return uint64_t{1} << static_cast<int>(field); }
template <class... Fields>
constexpr uint64_t bits(Fields... fields) {
  return (uint64_t{0} | ... | bit(fields));
}

const std::array<Form, kEventKinds + 1>& forms() {
  static const auto table = [] {
    using enum Field;
    std::array<Form, kEventKinds + 1> t{};
#define EVENT(kind, name, needed, may) t[static_cast<size_t>(EventKind::kind)] = {name, bits needed, bits may};
#include "memory/events.def"
#undef EVENT
    return t;
  }();
  return table;
}

const Form& form_of(EventKind kind) { return forms()[static_cast<size_t>(kind)]; }

bool in_form(const Event& event) {
  uint64_t present = 0;
  for (const ledger::Entry& entry : event.fields.entries()) {
    if (entry.key < 10 || entry.key > 63) return false;
    present |= uint64_t{1} << entry.key;
  }
  const Form& form = form_of(event.kind);
  return (present & form.needed) == form.needed && (present & ~(form.needed | form.may)) == 0;
}

}  // namespace

std::string_view event_name(EventKind kind) { return form_of(kind).name; }

ledger::Bytes encode_event(const Event& event) {
  assert(in_form(event));
  ledger::Map map{{1, 1}, {2, static_cast<int64_t>(event.kind)}, {3, event.time}, {4, event.actor}};
  for (const ledger::Entry& entry : event.fields.entries()) map.set(entry.key, entry.value);
  ledger::Bytes bytes = ledger::encode(map);
  if (bytes.size() > kEventBytesMax) {
    throw Error(ErrorKind::kLimit,
                "an event of the ledger would be larger than 65,535 bytes: " + std::string(event_name(event.kind)));
  }
  return bytes;
}

Event decode_event(ledger::ByteView leaf) {
  if (leaf.size() > kEventBytesMax) throw Error(ErrorKind::kBadInput, "an event is larger than 65,535 bytes");
  const ledger::Value value = ledger::decode(leaf);
  Event event;
  for (const ledger::Entry& entry : value.map().entries()) {
    switch (entry.key) {
      case 1:
        entry.value.integer(1, 1);
        break;
      case 2:
        event.kind = static_cast<EventKind>(entry.value.integer(1, kEventKinds));
        break;
      case 3:
        event.time = entry.value.integer(0, INT64_MAX);
        break;
      case 4:
        event.actor = entry.value.text();
        break;
      default:
        event.fields.set(entry.key, entry.value);
    }
  }
  for (const int64_t key : {1, 2, 3, 4}) value.map().at(key);  // all there
  if (!in_form(event)) {
    throw Error(ErrorKind::kBadInput,
                "an event has other fields than its kind: " + std::string(event_name(event.kind)));
  }
  return event;
}

}  // namespace fieldprint::memory
