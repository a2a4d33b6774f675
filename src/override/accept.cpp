#include "override/accept.h"

#include <fmt/format.h>

#include "fieldprint/error.h"

namespace fieldprint::overrides {
namespace {

// Numbers that somebody has written into the page are not believed if no use of it can have led there: nothing would be
// above them.
constexpr uint64_t kLeap = 1 << 24;

struct Known {  // by the page
  uint64_t epoch = 0, counter = 0;
};

}  // namespace

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
    : files_(std::move(files)), instance_(std::move(instance)), state_(read_root(files_.root())) {
  std::optional<Known> known;
  try {
    page_.emplace(files_.flags(), true);
    const auto word = unguarded(page_->flags_word()), counter = unguarded(page_->counter_word());
    if (page_->is_page() && word && counter) known = Known{*word >> 8, *counter};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
  }
  if (!page_ || !page_->is_page()) {
    page_.reset();
    FlagsPage::create(files_.flags());
    page_.emplace(files_.flags(), true);
  }

  try {
    journal_.emplace(files_.journal());
    state_ = fold(state_.root, journal_->entries(), files_.journal());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
    page_->set(known ? known->epoch + 1 : 1, kEverything, known ? known->counter : 0);
    throw;
  }
  if (!known || known->epoch > state_.epoch || known->counter > state_.counter) {
    Known floor{state_.epoch, state_.counter};
    if (known && known->epoch <= floor.epoch + kLeap) floor.epoch = std::max(floor.epoch, known->epoch);
    if (known && known->counter <= floor.counter + kLeap) floor.counter = std::max(floor.counter, known->counter);
    append({EntryKind::kClosed, now, fmt::format("{} {}", floor.epoch, floor.counter)});
  }
  page_->set_instance(instance_);
  publish();
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
