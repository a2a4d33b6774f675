#include "payloads.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cbor.h"
#include "stream.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

constexpr size_t kPayloadBytesMax = 1 << 26;
constexpr size_t kHeadBytes = 32 + 32 + 4;

// Text, adapter, address, title: fields 1 to 4, all of them text.
struct Payload {
  std::array<std::string_view, 4> fields;
};

bool parse(std::string_view bytes, std::vector<cbor::Item>& items, Payload& out) {
  if (!cbor::decode(bytes, items).empty()) return false;
  const cbor::Item& map = items[0];
  if (map.type != cbor::Type::kMap || map.number != out.fields.size()) return false;
  const cbor::Item* key = map.first();
  for (size_t i = 0; i < out.fields.size(); ++i) {
    const cbor::Item& value = *key->next();
    if (key->type != cbor::Type::kUnsigned || key->number != i + 1 || value.type != cbor::Type::kText) return false;
    out.fields[i] = value.text;
    key = value.next();
  }
  return true;
}

}  // namespace

PayloadCounts check_payloads(const Files& files, const Records& records, const Registry& registry, Report& report) {
  const std::string file = "payloads";
  PayloadCounts counts;
  if (files.open(file).state == Opening::kMissing) return counts;
  counts.there = true;
  const std::unique_ptr<Reader> reader = open_file(files, file, report);
  if (!reader) return counts;
  Stream stream(*reader);
  std::vector<cbor::Item> items;
  std::optional<Hash> last;
  while (stream.left() > 0) {
    const uint64_t at = stream.at();
    const std::optional<std::string_view> head = stream.left() < kHeadBytes ? std::nullopt : stream.take(kHeadBytes);
    const uint32_t length = head ? little_endian(head->substr(64)) : 0;
    if (!head || length > kPayloadBytesMax || length > stream.left()) {
      report.fault("payloads.form", fmt::format("At byte {} there is no id, salt and payload behind its length.", at),
                   {.file = file});
      return counts;
    }
    const Hash id = to_hash(head->substr(0, 32));
    const std::string salt(head->substr(32, 32));
    const std::optional<std::string_view> bytes = stream.take(length);
    if (!bytes) {
      report.fault("export.read", "The file cannot be read to its end.", {.file = file});
      return counts;
    }
    const Place place{.file = file, .record = id};
    if (last && id <= *last)
      report.fault("payloads.order", "The payload is not behind those of smaller ids, or is there twice.", place);
    last = id;
    const uint32_t record = records.find(id);
    if (record == Records::kNone) {
      report.fault("payload.unknown", "The export does not have this payload's record.", place);
      continue;
    }
    const std::optional<std::string> record_bytes = records.bytes(record);
    std::vector<cbor::Item> record_items;
    std::string_view rule;
    std::string error;
    const std::optional<Record> fields =
        record_bytes ? parse_record(*record_bytes, record_items, rule, error) : std::nullopt;
    if (!fields) continue;  // reported when all records were read
    if (view(digest("payload", salt + std::string(*bytes))) != fields->payload) {
      report.fault("payload.commitment", "The payload is not the one that the record commits to.", place);
      continue;
    }
    if (registry[record].erased) report.fault("payload.erased", "The payload of an erased record is there.", place);
    Payload payload;
    if (!parse(*bytes, items, payload)) {
      report.fault("payload.form", "The payload is not a map of text, adapter, address and title in canonical CBOR.",
                   place);
      continue;
    }
    ++counts.payloads;
  }
  return counts;
}

}  // namespace fieldprint::verify
