// Statements and their signatures, as events bring them (verify/replay.h).
#include <fmt/format.h>

#include <algorithm>

#include "replay.h"
#include "text.h"

namespace fieldprint::verify {

std::optional<Statement> Replay::statement(const Event& event, std::string_view action, std::optional<uint64_t> changed,
                                           Note& note) {
  std::string error;
  std::optional<Note> parsed = parse_note(event.text(kNote), error);
  if (!parsed) {
    fault("note.form", "The statement is not a signed note. " + error);
    return std::nullopt;
  }
  note = std::move(*parsed);
  std::optional<Statement> statement = parse_statement(note.text, action, error);
  if (!statement) {
    fault("statement.form", error);
    return std::nullopt;
  }
  if (statement->at("log") != origin_ || statement->at("agent") != agent_)
    fault("statement.ledger", fmt::format("The statement is for the agent {} of the ledger {}.",
                                          printable(statement->at("agent")), printable(statement->at("log"))));
  const uint64_t size = *from_decimal(statement->at("size"));
  if (size > index_)
    fault("statement.size",
          fmt::format("The statement was written at {} events, but comes as event {}.", size, index_));
  else if (changed && size <= *changed)
    fault("statement.size",
          fmt::format("The statement was written at {} events, before event {} changed what it is about.", size,
                      *changed));
  return statement;
}

void Replay::need_digest(const Statement& statement, std::string_view name, const Event& event, Field field) {
  if (statement.at(name) != hex(event.text(field)))
    fault("statement.record", fmt::format("The statement's {} is {}, but the event is about {}.", name,
                                          statement.at(name), hex(event.text(field))));
}

std::vector<Vkey> Replay::signers(const Note& note, Role role, bool& wrong) {
  std::vector<Vkey> result;
  for (const Vkey& key : keys_.in_force(role)) {
    const Signed state = signature_of(note, key);
    if (state == Signed::kRight) result.push_back(key);
    if (state == Signed::kWrong) wrong = true;
  }
  signatures_ += result.size();
  return result;
}

std::vector<Vkey> Replay::need_signers(const Note& note, Role role, uint64_t needed) {
  bool wrong = false;
  std::vector<Vkey> result = signers(note, role, wrong);
  if (wrong) fault("statement.signature", fmt::format("A signature of a key of the role {} is wrong.", name_of(role)));
  if (result.size() < needed)
    fault("statement.quorum", fmt::format("Signatures of {} keys of the role {} in force hold, {} are needed.",
                                          result.size(), name_of(role), needed));
  return result;
}

uint64_t Replay::approvals(uint32_t record) const {
  const bool external = !records_[record].readable || records_.label(record).integrity < kIntegrityUser;
  return external ? std::max(policy_.signatures, policy_.signatures_external) : policy_.signatures;
}

}  // namespace fieldprint::verify
