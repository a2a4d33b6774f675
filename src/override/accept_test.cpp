#include "override/accept.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "fieldprint/error.h"
#include "support/override_people.h"
#include "support/trials.h"

namespace fieldprint::overrides {
namespace {

constexpr int64_t kNow = OverridePeople::kNow;
const std::string kInstance(32, '7');

// What nobody who may command has signed for this moment, from what the attacker has: every command that was ever
// accepted, here and elsewhere, keys of other roles, one approver's and one root key, the operator's machine's clock.
class Forger {
 public:
  Forger(const OverridePeople& people, const State& state, const std::vector<std::string>& accepted,
         const std::vector<std::string>& elsewhere, unsigned seed)
      : people_(people), state_(state), accepted_(accepted), elsewhere_(elsewhere), random_(seed) {}

  static constexpr int kWays = 16;
  std::string forge(int way) {
    const Kind kind = command_kinds()[random_() % command_kinds().size()].kind;
    Command command = people_.next(state_, kind);
    switch (way) {
      case 0:
        return accepted_[random_() % accepted_.size()];  // replayed
      case 1:
        return elsewhere_[random_() % elsewhere_.size()];  // of another journal of the same agent and keys
      case 2:
        return people_.sign(command, {"stranger"});
      case 3:
        return people_.sign(command, too_few(kind));
      case 4: {  // a key of the right name that is another key
        const ledger::SignerKey key = ledger::SignerKey::generate("op1", ledger::KeyType::kEd25519);
        const std::string text = format_command(command);
        return ledger::format_note({text, {key.sign(text)}});
      }
      case 5:
        command.not_before -= 700, command.not_after -= 700;
        break;  // over
      case 6:
        command.not_before += 100, command.not_after += 100;
        break;  // not yet
      case 7:
        command.target = "agent=another";
        break;
      case 8:
        command.target = "instance=" + std::string(32, "0123456"[random_() % 7]);
        break;
      case 9:
        command.counter = random_() % (state_.counter + 1);
        break;
      case 10:
        command.counter = state_.counter + kCounterStepMax + 1 + random_() % 1000;
        break;
      case 11:
        command.prev[random_() % 32] ^= std::byte(1 << random_() % 8);
        break;
      case 12: {  // another text under the signatures
        const std::string note = people_.sign(command);
        Command other = command;
        other.nonce[random_() % 16] ^= std::byte(1 << random_() % 8);
        return format_command(other) + note.substr(note.rfind("\n\n") + 1);
      }
      case 13:
        return damage(people_.sign(command));
      case 14: {  // lines in another order
        std::string text = format_command(command);
        const size_t first = text.find('\n') + 1, second = text.find('\n', first) + 1;
        text = text.substr(0, first) + text.substr(second, text.find('\n', second) + 1 - second) +
               text.substr(first, second - first) + text.substr(text.find('\n', second) + 1);
        return people_.sign(text, {"op1", "op2"});
      }
      default: {  // cut off, or with something behind it
        const std::string note = people_.sign(command);
        return random_() % 2 == 0 ? note.substr(0, random_() % note.size())
                                  : note + note.substr(random_() % note.size());
      }
    }
    if (way == 9 && command.counter == 0) return "";
    return people_.sign(command);
  }

 private:
  std::vector<std::string> too_few(Kind kind) {
    switch (command_kind(kind).role) {
      case Role::kOperator:
        return random_() % 2 == 0 ? std::vector<std::string>{"ap1", "ap2", "ap3"}
                                  : std::vector<std::string>{"root1", "root2"};
      case Role::kApprover:
        return random_() % 2 == 0 ? std::vector<std::string>{"ap2", "ap2"}
                                  : std::vector<std::string>{"ap2", "op1", "op2", "root1"};
      default:
        return random_() % 2 == 0 ? std::vector<std::string>{"root1", "root1"}
                                  : std::vector<std::string>{"root1", "ap1", "ap2", "ap3"};
    }
  }

  // Anything but the last base64 digit's spare bits: those are refused as well, but not as another signature.
  std::string damage(std::string note) {
    const std::string before = note;
    while (note == before) {
      const size_t at = random_() % note.size();
      switch (random_() % 3) {
        case 0:
          note[at] = static_cast<char>(note[at] ^ 1 << random_() % 8);
          break;
        case 1:
          note.erase(at, 1 + random_() % 20);
          break;
        default:
          note.insert(at, note.substr(random_() % note.size(), 1 + random_() % 20));
          break;
      }
    }
    return note;
  }

  const OverridePeople& people_;
  const State& state_;
  const std::vector<std::string>&accepted_, &elsewhere_;
  std::mt19937 random_;
};

OverrideRequest request(const std::string& command) {
  OverrideRequest request;
  request.command = command;
  return request;
}

// Some history: everything that was accepted, in order.
std::vector<std::string> live(const OverridePeople& people, Acceptor& acceptor) {
  std::vector<std::string> accepted;
  for (int round = 0; round < 3; ++round) {
    for (const CommandKind& kind : command_kinds()) {
      if (kind.kind == Kind::kRotateKey) continue;
      accepted.push_back(people.sign(people.next(acceptor.state(), kind.kind)));
      const OverrideEntry entry = acceptor.accept(accepted.back(), kNow);
      EXPECT_EQ(entry.in_force, kind.lowers);
      if (!kind.lowers) acceptor.logged(entry.counter, kNow);
    }
  }
  acceptor.accept(accepted.emplace_back(people.sign(people.next(acceptor.state(), Kind::kHalt))), kNow);
  acceptor.accept(accepted.emplace_back(people.sign(people.next(acceptor.state(), Kind::kSuspendSource))), kNow);
  return accepted;
}

TEST(OverrideTrial, NothingForgedIsAccepted) {
  const OverridePeople people;
  const OverrideFolder folder(people), other(people);
  Acceptor acceptor(Files(folder.path()), kInstance, kNow), elsewhere(Files(other.path()), kInstance, kNow);
  const std::vector<std::string> accepted = live(people, acceptor), foreign = live(people, elsewhere);
  const uint64_t counter = acceptor.state().counter, epoch = acceptor.state().epoch;
  Forger forger(people, acceptor.state(), accepted, foreign, 5);

  int refused = 0;
  const int all = trials(100'000);
  for (int i = 0; i < all; ++i) {
    const std::string note = forger.forge(i % Forger::kWays);
    try {
      acceptor.accept(note, kNow);
      ADD_FAILURE() << "way " << i % Forger::kWays << ":\n" << note;
      break;
    } catch (const Error& error) {
      ++refused;
      ASSERT_NE(error.kind(), ErrorKind::kIo) << error.what();
    }
  }
  EXPECT_EQ(refused, all);
  EXPECT_EQ(acceptor.state().counter, counter);
  EXPECT_EQ(acceptor.state().epoch, epoch);
  EXPECT_EQ(read_state(Files(folder.path())).epoch, epoch);
  // And what is right is still accepted.
  EXPECT_TRUE(acceptor.accept(people.sign(people.next(acceptor.state(), Kind::kHalt)), kNow).in_force);
}

TEST(OverrideAccept, WhatWasAcceptedCanBeReadInOrder) {
  const OverridePeople people;
  const OverrideFolder folder(people);
  Acceptor acceptor(Files(folder.path()), kInstance, kNow);
  const std::vector<std::string> accepted = live(people, acceptor);
  const std::vector<OverrideEntry> entries = override_entries(folder.path());
  ASSERT_EQ(entries.size(), accepted.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].note, accepted[i]);
    EXPECT_TRUE(entries[i].in_force);
    EXPECT_EQ(entries[i].counter, i + 1);
  }
  EXPECT_EQ(override_entries(folder.path(), entries[5].epoch).size(), entries.size() - 6);
  EXPECT_EQ(override_entries(folder.path(), acceptor.state().epoch).size(), 0u);
}

TEST(OverrideAccept, StatusMakesTheNextCommand) {
  const OverridePeople people;
  const OverrideFolder folder(people);
  const int64_t now = static_cast<int64_t>(::time(nullptr));
  Acceptor acceptor(Files(folder.path()), kInstance, now);
  for (int i = 0; i < 3; ++i) {
    const OverrideStatus status = override_status(folder.path());
    EXPECT_EQ(status.fault, "");
    EXPECT_EQ(status.counter, i);
    OverrideRequest revoke = request("REVOKE");
    revoke.arguments = {{"record", std::string(64, 'd')}};
    revoke.target = "agent=tester";
    revoke.reason = "found bad";
    const std::string text = make_override_command(status, revoke);
    acceptor.accept(sign_override_command(text, people.key("op2").skey()), now);
  }
  acceptor.accept(sign_override_command(make_override_command(override_status(folder.path()), request("FREEZE_WRITES")),
                                        people.key("op1").skey()),
                  now);
  EXPECT_TRUE(override_status(folder.path()).frozen);
  std::string restore = make_override_command(override_status(folder.path()), request("RESTORE"));
  restore = sign_override_command(restore, people.key("ap1").skey());
  EXPECT_THROW(acceptor.accept(restore, now), Error);
  restore = sign_override_command(restore, people.key("ap2").skey());
  acceptor.accept(restore, now);
  EXPECT_EQ(override_status(folder.path()).waiting, std::vector<uint64_t>{5});
  EXPECT_TRUE(override_status(folder.path()).frozen);
  acceptor.logged(5, now);
  EXPECT_FALSE(override_status(folder.path()).frozen);
  EXPECT_THROW(make_override_command(override_status(folder.path()), request("REVOKE")), Error);
  EXPECT_THROW(sign_override_command("pay the bearer\n", people.key("op1").skey()), Error);
}

TEST(OverrideAccept, TwoProcessesDoNotServeOneDirectory) {
  const OverridePeople people;
  const OverrideFolder folder(people);
  const Acceptor acceptor(Files(folder.path()), kInstance, kNow);
  EXPECT_THROW(Acceptor(Files(folder.path()), kInstance, kNow), Error);
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, 0);  // the second has touched nothing
}

// Where not even the journal can be written, whatever lowers closes everything, and nothing raises.
TEST(OverrideAccept, AJournalThatCannotBeWrittenClosesEverything) {
  const OverridePeople people;
  const OverrideFolder folder(people);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    Acceptor acceptor(Files(folder.path()), kInstance, kNow);
    const rlimit limit{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int wrong = 0;
    for (const Kind kind : {Kind::kRevoke, Kind::kRestore}) {
      try {
        acceptor.accept(people.sign(people.next(acceptor.state(), kind)), kNow);
        wrong |= 1;
      } catch (const Error& error) {
        wrong |= kind == Kind::kRevoke && error.kind() != ErrorKind::kIo ? 2 : 0;
      }
    }
    ::_exit(wrong);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, kEverything);
  // The next process can write again: it writes down that everything is closed.
  Acceptor acceptor(Files(folder.path()), kInstance, kNow);
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, kEverything);
  EXPECT_EQ(OverrideFlags(folder.path()).fault(), "");
  acceptor.logged(acceptor.accept(people.sign(people.next(acceptor.state(), Kind::kRestore)), kNow).counter, kNow);
  EXPECT_EQ(OverrideFlags(folder.path()).now().flags, 0);
}

TEST(OverrideAccept, AnOverrideIsMadeWholeOrNotAtAll) {
  const OverridePeople people;
  TempHome home;
  const std::string path = (home.path() / "override").string();
  OverrideKeys keys = people.setup();
  keys.approvers_needed = 4;
  EXPECT_THROW(make_override(path, keys), Error);
  keys = people.setup();
  keys.operators.push_back(keys.roots[0]);
  EXPECT_THROW(make_override(path, keys), Error);
  keys = people.setup();
  keys.agent = "two\nlines";
  EXPECT_THROW(make_override(path, keys), Error);
  EXPECT_FALSE(std::filesystem::exists(path));
  make_override(path, people.setup());
  EXPECT_THROW(make_override(path, people.setup()), Error);
  EXPECT_EQ(override_status(path).fault, "");
  EXPECT_EQ(override_status(path).agent, "tester");
}

}  // namespace
}  // namespace fieldprint::overrides
