// Input: pieces, each behind its length (2 bytes, big-endian). The first says what the second is (e: events and records
// of an export, n: a note, o: a command of the override, p: a tlog-proof, s: a statement, v: a vkey); of an export,
// those of an even place are events and the others records, in a tree that fits them. Whatever they are,
// fieldprint-verify ends soon and does not call it sound: nobody has signed it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "../verify/cbor.h"
#include "../verify/note.h"
#include "../verify/override.h"
#include "../verify/policy.h"
#include "../verify/proof.h"
#include "../verify/statements.h"
#include "../verify/text.h"
#include "../verify/tiles.h"
#include "../verify/tree.h"
#include "../verify/verify.h"

namespace {

using namespace fieldprint::verify;

void require(bool condition) {
  if (!condition) std::abort();
}

// The log key of tests/support/memory_export.py: its checkpoints are refused here, as they are of another root.
constexpr std::string_view kLog = "example.org/memory+5881054c+ASWMzpJ2FI4ndsfvlOouOSvcu5PJ1jJKhmsozrNpmLrP";

std::vector<std::string> pieces_of(std::string_view input) {
  std::vector<std::string> pieces;
  while (input.size() >= 2) {
    const size_t length = static_cast<size_t>(static_cast<uint8_t>(input[0])) << 8 | static_cast<uint8_t>(input[1]);
    pieces.emplace_back(input.substr(2, length));
    input.remove_prefix(std::min(input.size(), 2 + length));
  }
  return pieces;
}

void check_export(const std::vector<std::string>& pieces) {
  constexpr size_t kEventsMax = 200;  // one tile
  std::map<std::string, std::string> files;
  std::vector<std::string> events, records;
  for (size_t i = 1; i < pieces.size() && events.size() < kEventsMax; ++i)
    ((i % 2 == 1) ? events : records).push_back(pieces[i]);
  if (events.empty()) return;
  std::sort(records.begin(), records.end(),
            [](const std::string& a, const std::string& b) { return digest("record", a) < digest("record", b); });
  for (const std::string& record : records) {
    for (size_t i = 0; i < 4; ++i) files["records"] += static_cast<char>(record.size() >> 8 * i);
    files["records"] += record;
  }
  const auto width = static_cast<unsigned>(events.size());
  std::string &bundle = files[tile_path("entries", 0, width)], &tile = files[tile_path("0", 0, width)];
  for (const std::string& event : events) {
    bundle += static_cast<char>(event.size() >> 8);
    bundle += static_cast<char>(event.size());
    bundle += event;
    tile += view(leaf_hash(event));
  }
  files["log.vkey"] = std::string(kLog) + "\n";
  files["checkpoint"] = "example.org/memory\n" + std::to_string(events.size()) + "\n" + std::string(43, 'A') +
                        "=\n\n\xE2\x80\x94 nobody AAAAAAA=\n";
  const Report report = check(in_memory(files).get(), {});
  require(!report.sound());
  require(is_utf8(report.text()) && is_utf8(report.json()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<std::string> pieces = pieces_of({reinterpret_cast<const char*>(data), size});
  if (pieces.size() < 2 || pieces[0].empty()) return 0;
  const std::string& one = pieces[1];
  std::string error;
  switch (pieces[0][0]) {
    case 'e':
      check_export(pieces);
      break;
    case 'n':
      if (const auto note = parse_note(one, error)) require(note->text.ends_with('\n') && !note->signatures.empty());
      break;
    case 'o':
      if (const auto command = parse_override(one, error)) require(command->counter > 0);
      break;
    case 'p': {
      Report report;
      Checkpoint checkpoint;
      try {
        check_proof(one, "proof", *parse_vkey(kLog), pieces.size() > 2 ? std::optional(pieces[2]) : std::nullopt,
                    checkpoint, report);
      } catch (const TooManyFaults&) {
      }
      require(is_utf8(report.text()));
      break;
    }
    case 's':
      for (const std::string_view action : {"endorse", "release", "revoke", "supersede", "key", "policy"}) {
        if (is_note_text(one) && one.ends_with('\n')) parse_statement(one, action, error);
      }
      break;
    default:
      if (const auto key = parse_vkey(one)) require(key->text == one);
  }
  return 0;
}
