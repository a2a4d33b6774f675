#include "ledger/checkpoint.h"

#include <fmt/format.h>

#include <charconv>

#include "fieldprint/error.h"
#include "ledger/lines.h"

namespace fieldprint::ledger {

int64_t parse_decimal(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || text[0] == '-' || (text[0] == '0' && text.size() > 1) || error != std::errc() ||
      end != text.data() + text.size()) {
    throw Error(ErrorKind::kBadInput, "a size or an index has to be a plain decimal number");
  }
  return number;
}

std::string checkpoint_text(const Checkpoint& checkpoint) {
  if (!is_key_name(checkpoint.origin))
    throw Error(ErrorKind::kBadInput, "a log's origin may hold no spaces and no '+'");
  return fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, to_base64(checkpoint.root));
}

Checkpoint parse_checkpoint(std::string_view text) {
  Lines lines(text);
  Checkpoint checkpoint;
  checkpoint.origin = lines.next();
  checkpoint.size = parse_decimal(lines.next());
  checkpoint.root = digest_from_base64(lines.next());
  if (!lines.done()) throw Error(ErrorKind::kBadInput, "a checkpoint with more than three lines");
  if (checkpoint_text(checkpoint) != text)
    throw Error(ErrorKind::kBadInput, "a checkpoint that is not in its one form");
  if (checkpoint.size == 0 && checkpoint.root != sha256({})) {
    throw Error(ErrorKind::kBadInput, "a checkpoint of an empty log with the root of another");
  }
  return checkpoint;
}

Checkpoint open_checkpoint(const Note& note, const VerifierKey& log) {
  verify_note(note, {&log, 1});
  Checkpoint checkpoint = parse_checkpoint(note.text);
  if (checkpoint.origin != log.name()) {
    throw Error(ErrorKind::kBadInput, fmt::format("a checkpoint of {}, signed by {}", checkpoint.origin, log.name()));
  }
  return checkpoint;
}

}  // namespace fieldprint::ledger
