#include "override/accept.h"

#include <fmt/format.h>

#include "fieldprint/error.h"

namespace fieldprint::overrides {
OverrideEntry tell(const Command& command, const Entry& entry, uint64_t epoch, bool in_force) {
  return {.epoch = epoch,
          .counter = command.counter,
          .time = entry.time,
          .command = std::string(command_kind(command.kind).name),
          .arguments = command.arguments,
          .in_force = in_force,
          .note = entry.text};
}

Acceptor::Acceptor(Files files, std::string instance, int64_t now)
    : files_(std::move(files)), instance_(std::move(instance)), state_(Root{}) {
  std::optional<Error> damage;
  try {
    journal_.emplace(files_.journal());
    state_ = fold(read_root(files_.root()), journal_->entries(), files_.journal());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;  // another process has it, too
    damage = error;
  }
  const std::optional<Known> known = open_page();
  if (damage) {
    page_->set(known ? known->epoch + 1 : 1, kEverything, known ? known->counter : 0);
    throw *damage;
  }
  if (!known || known->epoch > state_.epoch || known->counter > state_.counter) {
    Known floor{state_.epoch, state_.counter};
    if (known && known->epoch <= floor.epoch + kLeapMax) floor.epoch = std::max(floor.epoch, known->epoch);
    if (known && known->counter <= floor.counter + kLeapMax) floor.counter = std::max(floor.counter, known->counter);
    append({EntryKind::kClosed, now, fmt::format("{} {}", floor.epoch, floor.counter)});
  }
  page_->set_instance(instance_);
  publish();
}

// What the page says, if it is one that can be believed; it is made anew where it is not.
std::optional<Acceptor::Known> Acceptor::open_page() {
  try {
    page_.emplace(files_.flags(), true);
    const auto word = unguarded(page_->flags_word()), counter = unguarded(page_->counter_word());
    if (page_->is_page() && word && counter) return Known{*word >> 8, *counter};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
  }
  page_.reset();
  FlagsPage::create(files_.flags());
  page_.emplace(files_.flags(), true);
  return {};
}

void Acceptor::publish() {
  page_->set(state_.epoch + unwritten_, unwritten_ > 0 ? state_.flags | kEverything : state_.flags, state_.counter);
}

void Acceptor::append(const Entry& entry) {
  State next = state_;
  next.apply(entry);
  journal_->append(entry);
  state_ = std::move(next);
}

OverrideEntry Acceptor::accept(std::string_view note, int64_t now) {
  const Command command = state_.check(note, instance_, now);
  const Entry entry{EntryKind::kCommand, now, std::string(note)};
  const bool lowers = command_kind(command.kind).lowers;
  try {
    append(entry);
  } catch (const Error& error) {
    if (!lowers || (error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kLimit)) throw;
    ++unwritten_;
    publish();
    throw Error(error.kind(), fmt::format("everything is halted, since {}", error.what()));
  }
  publish();
  return tell(command, entry, state_.epoch, lowers);
}

void Acceptor::logged(uint64_t counter, int64_t now) {
  state_.check_logged(counter, now);
  append({EntryKind::kLogged, now, fmt::to_string(counter)});
  publish();
}

}  // namespace fieldprint::overrides
