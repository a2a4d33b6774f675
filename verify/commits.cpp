#include "commits.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "cbor.h"
#include "stream.h"

namespace fieldprint::verify {
namespace {

constexpr size_t kCommitBytesMax = 1 << 26;
constexpr size_t kHeadBytes = 8 + 4;

// Field 1 of the map, which is the token ids of four bytes each.
std::optional<std::string_view> tokens_of(std::string_view bytes, std::vector<cbor::Item>& items) {
  if (!cbor::decode(bytes, items).empty()) return std::nullopt;
  const cbor::Item& map = items[0];
  if (map.type != cbor::Type::kMap || map.number == 0) return std::nullopt;
  const cbor::Item &key = *map.first(), &value = *key.next();
  if (key.type != cbor::Type::kUnsigned || key.number != 1 || value.type != cbor::Type::kBytes ||
      value.text.size() % 4 != 0)
    return std::nullopt;
  return value.text;
}

}  // namespace

uint64_t check_commits(const Files& files, const std::map<uint64_t, Hash>& tokens, Report& report) {
  const std::string file = "commits";
  if (files.open(file).state == Opening::kMissing) return 0;
  const std::unique_ptr<Reader> reader = open_file(files, file, report);
  if (!reader) return 0;
  Stream stream(*reader);
  std::vector<cbor::Item> items;
  std::optional<uint64_t> last;
  uint64_t count = 0;
  while (stream.left() > 0) {
    const uint64_t at = stream.at();
    const std::optional<std::string_view> head = stream.left() < kHeadBytes ? std::nullopt : stream.take(kHeadBytes);
    const uint64_t index = head ? little_endian(*head) | uint64_t{little_endian(head->substr(4))} << 32 : 0;
    const uint32_t length = head ? little_endian(head->substr(8)) : 0;
    const bool whole = head && length <= kCommitBytesMax && length <= stream.left();
    const std::optional<std::string_view> bytes = whole ? stream.take(length) : std::nullopt;
    if (!bytes) {
      report.fault("commits.form",
                   fmt::format("At byte {} there is no number of an event and a commit behind its length.", at),
                   {.file = file});
      return count;
    }
    const Place place{.file = file, .event = index};
    if (last && index <= *last)
      report.fault("commits.order", "The commit is not behind those of earlier events, or is there twice.", place);
    last = index;
    const auto event = tokens.find(index);
    if (event == tokens.end()) {
      report.fault("commit.unknown", "The event is not a COMMIT.", place);
      continue;
    }
    const std::optional<std::string_view> ids = tokens_of(*bytes, items);
    if (!ids)
      report.fault("commit.form",
                   "The commit is not a map in canonical CBOR that begins with token ids of four bytes each.", place);
    else if (digest("tokens", *ids) != event->second)
      report.fault("commit.tokens", "The token ids are not those that the event commits to.", place);
    else ++count;
  }
  return count;
}

}  // namespace fieldprint::verify
