#include "proof.h"

#include <fmt/format.h>

#include "events.h"
#include "text.h"
#include "tree.h"

namespace fieldprint::verify {
namespace {

constexpr size_t kHashesMax = 64;

struct Proof {
  std::optional<std::string> extra;
  uint64_t index = 0;
  std::vector<Hash> hashes;
  std::string checkpoint;
};

std::optional<Proof> parse(std::string_view bytes) {
  Proof proof;
  const size_t empty = bytes.find("\n\n");
  if (empty == std::string_view::npos) return std::nullopt;
  proof.checkpoint = bytes.substr(empty + 2);
  const std::vector<std::string_view> lines = lines_of(bytes.substr(0, empty + 1));
  size_t next = 1;
  if (lines[0] != "c2sp.org/tlog-proof@v1") return std::nullopt;
  const auto value = [&](std::string_view name) -> std::optional<std::string_view> {
    if (next >= lines.size() || !lines[next].starts_with(name)) return std::nullopt;
    return lines[next++].substr(name.size());
  };
  if (const auto extra = value("extra ")) {
    proof.extra = from_base64(*extra);
    if (!proof.extra) return std::nullopt;
  }
  const auto index = value("index ");
  const std::optional<uint64_t> number = index ? from_decimal(*index) : std::nullopt;
  if (!number || lines.size() - next > kHashesMax) return std::nullopt;
  proof.index = *number;
  for (; next < lines.size(); ++next) {
    const std::optional<std::string> hash = from_base64(lines[next]);
    if (!hash || hash->size() != 32) return std::nullopt;
    proof.hashes.push_back(to_hash(*hash));
  }
  return proof;
}

}  // namespace

bool check_proof(const std::string& bytes, const std::string& file, const Vkey& log,
                 const std::optional<std::string>& event, Checkpoint& checkpoint, Report& report) {
  std::optional<Proof> proof = parse(bytes);
  if (!proof) {
    report.fault("proof.form", "The file is no proof of the format c2sp.org/tlog-proof@v1.", {.file = file});
    return false;
  }
  if (!read_checkpoint(std::move(proof->checkpoint), log, file, checkpoint, report)) return false;
  const Place place{.file = file, .event = proof->index};
  const std::optional<std::string>& leaf = event ? event : proof->extra;
  if (!leaf) {
    report.fault("proof.event", "The proof does not carry its event in an extra line, and none was given with --event.",
                 place);
    return true;
  }
  if (!includes(leaf_hash(*leaf), proof->index, checkpoint.size, proof->hashes, checkpoint.root))
    report.fault("proof.inclusion", "The proof does not lead from the event to the root of its checkpoint.", place);
  Event parsed;
  std::string error;
  const std::string_view rule = parsed.parse(*leaf, error);
  if (!rule.empty()) {
    report.fault(rule, error, place);
    return true;
  }
  report.checked(fmt::format("Event {} of {} is {}{}, by {}, at {} ms; the checkpoint at {} events includes it.",
                             proof->index, printable(checkpoint.origin), name_of(parsed.kind()),
                             parsed.has(kRecord) ? " of record " + hex(parsed.text(kRecord)) : "",
                             printable(parsed.text(kActor)), parsed.time(), grouped(checkpoint.size)));
  return true;
}

}  // namespace fieldprint::verify
