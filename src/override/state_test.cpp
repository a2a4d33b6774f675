#include "override/state.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "support/override_people.h"

namespace fieldprint::overrides {
namespace {

constexpr int64_t kNow = OverridePeople::kNow;
const std::string kInstance(32, '7');

class OverrideState : public ::testing::Test {
 protected:
  OverrideState() {
    Root root;
    root.agent = "tester";
    const OverrideKeys keys = people.setup();
    const auto fill = [&](Role role, const std::vector<std::string>& vkeys, int needed) {
      root.of(role).needed = needed;
      for (const std::string& vkey : vkeys) root.of(role).keys.push_back(ledger::VerifierKey::parse(vkey));
    };
    fill(Role::kOperator, keys.operators, keys.operators_needed);
    fill(Role::kApprover, keys.approvers, keys.approvers_needed);
    fill(Role::kRoot, keys.roots, keys.roots_needed);
    state.emplace(root);
    state->apply(begin_entry("tester", std::string(32, '1'), kNow));
  }

  void accept(const Command& command) { accept(people.sign(command)); }
  void accept(const std::string& note) {
    state->check(note, kInstance, kNow);
    state->apply({EntryKind::kCommand, kNow, note});
  }
  void accept(Kind kind) { accept(people.next(*state, kind)); }
  void log(uint64_t counter) {
    state->check_logged(counter, kNow);
    state->apply({EntryKind::kLogged, kNow, std::to_string(counter)});
  }
  std::string refusal(const std::string& note, int64_t now = kNow) {
    try {
      state->check(note, kInstance, now);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }
  std::string refusal(const Command& command, int64_t now = kNow) { return refusal(people.sign(command), now); }

  OverridePeople people;
  std::optional<State> state;
};

TEST_F(OverrideState, LoweringCommandsAreInForceAtOnce) {
  const std::pair<Kind, uint8_t> kinds[] = {{Kind::kNoAnchors, kNoAnchors},
                                            {Kind::kFreezeWrites, kNoAnchors | kFrozen},
                                            {Kind::kCleanBoot, kNoAnchors | kFrozen | kCleanBoot},
                                            {Kind::kHalt, kNoAnchors | kFrozen | kCleanBoot | kHalted}};
  for (const auto& [kind, flags] : kinds) {
    const uint64_t epoch = state->epoch;
    accept(kind);
    EXPECT_EQ(state->flags, flags);
    EXPECT_GT(state->epoch, epoch);
  }
  accept(Kind::kRevoke);
  accept(Kind::kSuspendSource);
  EXPECT_EQ(state->sources.size(), 1u);
  EXPECT_EQ(state->counter, 6u);
}

TEST_F(OverrideState, RaisingCommandsWaitForTheLedger) {
  accept(Kind::kHalt);
  accept(Kind::kRestore);
  EXPECT_EQ(state->flags, kHalted);
  EXPECT_THROW(state->check_logged(1, kNow), Error);
  EXPECT_THROW(state->check_logged(2, kNow + 601), Error);  // its time is over
  log(2);
  EXPECT_EQ(state->flags, 0);
  EXPECT_THROW(state->check_logged(2, kNow), Error);
}

TEST_F(OverrideState, RestoreThatWaitsIsUndoneByALaterHalt) {
  accept(Kind::kHalt);
  accept(Kind::kRestore);
  accept(Kind::kHalt);
  EXPECT_THROW(state->check_logged(2, kNow), Error);
  EXPECT_EQ(state->flags, kHalted);
}

TEST_F(OverrideState, RestoreOfASourceLeavesTheRest) {
  accept(Kind::kHalt);
  accept(Kind::kSuspendSource);
  Command restore = people.next(*state, Kind::kRestore);
  restore.arguments = {{"source", std::string(32, 'c')}};
  EXPECT_EQ(refusal(restore), "the source is not suspended");
  restore.arguments = {{"source", std::string(32, 'b')}};
  accept(restore);
  log(3);
  EXPECT_TRUE(state->sources.empty());
  EXPECT_EQ(state->flags, kHalted);
}

TEST_F(OverrideState, NothingToRestoreIsRefused) {
  EXPECT_EQ(refusal(people.next(*state, Kind::kRestore)), "there is nothing to restore");
}

TEST_F(OverrideState, EachRoleHasItsCommands) {
  accept(Kind::kHalt);
  const Command halt = people.next(*state, Kind::kHalt), restore = people.next(*state, Kind::kRestore),
                rotate = people.next(*state, Kind::kRotateKey);
  for (const auto& names :
       std::vector<std::vector<std::string>>{{"ap1", "ap2", "ap3"}, {"root1", "root2"}, {"stranger"}})
    EXPECT_NE(refusal(people.sign(halt, names)), "");
  for (const auto& names : std::vector<std::vector<std::string>>{{"ap1"},
                                                                 {"ap1", "ap1"},
                                                                 {"ap1", "ap1", "ap1"},
                                                                 {"op1", "op2"},
                                                                 {"ap1", "op1"},
                                                                 {"root1", "root2"},
                                                                 {"ap1", "stranger"},
                                                                 {"ap2", "root1"}})
    EXPECT_NE(refusal(people.sign(restore, names)), "");
  for (const auto& names :
       std::vector<std::vector<std::string>>{{"root1"}, {"root2", "root2"}, {"ap1", "ap2"}, {"op1", "op2"}})
    EXPECT_NE(refusal(people.sign(rotate, names)), "");
  EXPECT_EQ(refusal(people.sign(halt, {"op1", "op1"})), "a signature that stands twice");
  EXPECT_EQ(refusal(people.sign(halt, {"op2"})), "");
  EXPECT_EQ(refusal(people.sign(restore, {"ap2", "stranger", "ap3"})), "");
  EXPECT_EQ(refusal(people.sign(rotate, {"root2", "root1"})), "");
}

TEST_F(OverrideState, KeysAreRotatedByRoots) {
  accept(Kind::kRotateKey);  // op2 -> new
  EXPECT_EQ(refusal(people.sign(people.next(*state, Kind::kHalt), {"op2"})), "");
  log(1);
  EXPECT_NE(refusal(people.sign(people.next(*state, Kind::kHalt), {"op2"})), "");
  EXPECT_EQ(refusal(people.sign(people.next(*state, Kind::kHalt), {"new"})), "");
  Command rotate = people.next(*state, Kind::kRotateKey);
  EXPECT_EQ(refusal(rotate), "no role has the old key");
  rotate.arguments = {{"old", people.vkey("op1")}, {"key", people.vkey("ap1")}};
  EXPECT_NE(refusal(rotate), "");  // an approver already
}

TEST_F(OverrideState, TwoRotationsOfOneKeyThatBothWaitDoNotBothHappen) {
  accept(Kind::kRotateKey);
  accept(Kind::kRotateKey);
  log(1);
  State next = *state;
  EXPECT_THROW(next.apply({EntryKind::kLogged, kNow, "2"}), Error);
}

TEST_F(OverrideState, CountersOnlyGrow) {
  accept(Kind::kHalt);
  Command command = people.next(*state, Kind::kHalt);
  for (const uint64_t counter : {uint64_t{1}, uint64_t{2} + kCounterStepMax, kCounterMax}) {
    command.counter = counter;
    EXPECT_NE(refusal(command), "") << counter;
  }
  command.counter = 1 + kCounterStepMax;
  accept(command);
  EXPECT_EQ(state->counter, 1 + kCounterStepMax);
}

TEST_F(OverrideState, ACommandIsForOneHistory) {
  const std::string first = people.sign(people.next(*state, Kind::kHalt));
  accept(first);
  EXPECT_NE(refusal(first), "");
  Command command = people.next(*state, Kind::kHalt);
  command.prev = ledger::sha256({});
  EXPECT_EQ(refusal(command), "the command does not name the digest of the one before it");

  State other(state->root);  // another journal of the same agent and keys
  other.apply(begin_entry("tester", std::string(32, '2'), kNow));
  EXPECT_THROW(other.check(first, kInstance, kNow), Error);
}

TEST_F(OverrideState, TargetsHaveToMatch) {
  Command command = people.next(*state, Kind::kHalt);
  for (const std::string target : {"*", "agent=tester", "instance=77777777777777777777777777777777"}) {
    command.target = target;
    EXPECT_EQ(refusal(command), "");
  }
  for (const std::string target :
       {"agent=Tester", "agent=tester2", "agent=*", "instance=77777777777777777777777777777778"}) {
    command.target = target;
    EXPECT_EQ(refusal(command), "the command is for another agent or instance");
  }
}

TEST_F(OverrideState, CommandsHaveTheirTime) {
  const Command command = people.next(*state, Kind::kHalt);
  EXPECT_EQ(refusal(command, command.not_before), "");
  EXPECT_EQ(refusal(command, command.not_after), "");
  EXPECT_EQ(refusal(command, command.not_before - 1), "the command is not good yet");
  EXPECT_EQ(refusal(command, command.not_after + 1), "the command is not good any more");
}

TEST_F(OverrideState, AFoldChecksSignaturesAgain) {
  accept(Kind::kHalt);
  const Command restore = people.next(*state, Kind::kRestore);
  EXPECT_THROW(State(*state).apply({EntryKind::kCommand, kNow, people.sign(restore, {"ap1"})}), Error);
  EXPECT_THROW(State(*state).apply({EntryKind::kCommand, kNow, people.sign(restore, {"op1", "op2"})}), Error);
  EXPECT_THROW(State(*state).apply({EntryKind::kLogged, kNow, "2"}), Error);
  EXPECT_THROW(State(*state).apply(begin_entry("tester", std::string(32, '1'), kNow)), Error);
  EXPECT_THROW(State(state->root).apply(begin_entry("another", std::string(32, '1'), kNow)), Error);
  EXPECT_THROW(State(state->root).apply({EntryKind::kClosed, kNow, "1 1"}), Error);
  EXPECT_THROW(State(*state).apply({EntryKind::kClosed, kNow, "x"}), Error);
}

TEST_F(OverrideState, ClosedIsUndoneByRestore) {
  state->apply({EntryKind::kClosed, kNow, "90 17"});
  EXPECT_EQ(state->flags, kEverything);
  EXPECT_GT(state->epoch, 90u);
  EXPECT_EQ(state->counter, 17u);
  accept(Kind::kRestore);
  log(18);
  EXPECT_EQ(state->flags, 0);
}

TEST_F(OverrideState, RootFilesHaveOneText) {
  const std::string text = format_root(state->root);
  EXPECT_EQ(parse_root(text), state->root);
  EXPECT_THROW(parse_root(text + "\n"), Error);
  EXPECT_THROW(parse_root(text.substr(0, text.size() - 1)), Error);
  EXPECT_THROW(parse_root(text.substr(0, text.rfind("root="))), Error);  // two are needed
  EXPECT_THROW(parse_root(text + "root=" + people.vkey("op1") + "\n"), Error);
  EXPECT_THROW(parse_root(text + "root=" + people.vkey("root1") + "\n"), Error);
  EXPECT_EQ(parse_root(text + "root=" + people.vkey("new") + "\n").of(Role::kRoot).keys.size(), 3u);
}

}  // namespace
}  // namespace fieldprint::overrides
