#include "checkpoint.h"

#include <fmt/format.h>

#include "text.h"

namespace fieldprint::verify {

bool read_checkpoint(std::string bytes, const Vkey& log, const std::string& file, Checkpoint& out, Report& report) {
  out.bytes = std::move(bytes);
  std::string error;
  std::optional<Note> note = parse_note(out.bytes, error);
  if (!note) {
    report.fault("note.form", "The checkpoint is not a signed note. " + error, {.file = file});
    return false;
  }
  out.note = std::move(*note);
  const std::vector<std::string_view> lines = lines_of(out.note.text);
  const std::optional<uint64_t> size = lines.size() == 3 ? from_decimal(lines[1]) : std::nullopt;
  const std::optional<std::string> root = lines.size() == 3 ? from_base64(lines[2]) : std::nullopt;
  if (!size || !root || root->size() != 32 || lines[0].empty()) {
    report.fault("checkpoint.form",
                 "The checkpoint is not three lines: an origin, a size in decimal and a root of 32 bytes in base64.",
                 {.file = file});
    return false;
  }
  out.origin = lines[0];
  out.size = *size;
  out.root = to_hash(*root);
  if (log.type != kEd25519 || log.name != out.origin)
    report.fault(
        "checkpoint.origin",
        fmt::format("The checkpoint is of {}, but the log's key is of {}.", printable(out.origin), printable(log.name)),
        {.file = file});
  switch (signature_of(out.note, log)) {
    case Signed::kRight:
      break;
    case Signed::kWrong:
      report.fault("checkpoint.signature", "The log's signature of the checkpoint is wrong.", {.file = file});
      break;
    case Signed::kNo:
      report.fault("checkpoint.signature",
                   fmt::format("The checkpoint is not signed by the log's key {}.", printable(log.text)),
                   {.file = file});
      break;
  }
  return true;
}

size_t count_cosignatures(const Checkpoint& checkpoint, const std::vector<Vkey>& witnesses, const std::string& file,
                          Report& report) {
  size_t count = 0;
  for (const Vkey& witness : witnesses) {
    const Signed state = signature_of(checkpoint.note, witness);
    if (state == Signed::kRight) ++count;
    if (state == Signed::kWrong)
      report.fault("checkpoint.signature",
                   fmt::format("The cosignature of witness {} is wrong.", printable(witness.name)), {.file = file});
  }
  return count;
}

}  // namespace fieldprint::verify
