#include "memory/registry.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "fieldprint/error.h"

namespace fieldprint::memory {
namespace {

using ledger::KeyType;
using ledger::SignerKey;

// A registry with keys, and events for it. `set_up` brings a record into each status that there is.
class Bench {
 public:
  Bench() {
    Event genesis(EventKind::kGenesis, 1, "init");
    ledger::Array keys;
    for (const auto& [role, key] : {std::pair(KeyRole::kRoot, &root), std::pair(KeyRole::kOperator, &op),
                                    std::pair(KeyRole::kApprover, &one), std::pair(KeyRole::kApprover, &two)}) {
      keys.emplace_back(ledger::Array{static_cast<int64_t>(role), key->verifier().vkey()});
    }
    const std::array<std::byte, 16> instance{};
    genesis.set(Field::kOrigin, "test").set(Field::kAgent, "agent").set(Field::kKeys, std::move(keys));
    genesis.set(Field::kPolicy, Policy().cbor()).set(Field::kInstance, ledger::ByteView(instance));
    apply(genesis);
  }

  void apply(Event event) {
    event.time = std::max(event.time, registry.time());
    registry.apply(registry.size(), event);
  }
  bool takes(const Event& event) {
    const Registry before = registry;
    try {
      apply(event);
      registry = before;
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  static RecordId id(int number) {
    RecordId id{};
    id[0] = static_cast<std::byte>(number);
    return id;
  }
  Event bring(EventKind kind, const RecordId& record, Integrity integrity = Integrity::kUser) {
    Event event(kind, 1, "gateway");
    event.set(Field::kId, ledger::ByteView(record));
    event.set(Field::kRecordKind,
              static_cast<int64_t>(kind == EventKind::kPropose ? RecordKind::kAnchor : RecordKind::kUser));
    event.set(Field::kIntegrity, static_cast<int64_t>(integrity));
    if (kind == EventKind::kQuarantine) event.set(Field::kCause, "test");
    return event;
  }
  std::string note(std::string action, const RecordId& record, std::vector<const SignerKey*> keys,
                   const RecordId& successor = {}) {
    Statement statement{action, {{"log", "test"}, {"agent", "agent"}, {"record", hex(record)}}};
    const auto add = [&](const char* name, std::string value) {
      statement.fields.emplace_back(name, std::move(value));
    };
    const std::string size = std::to_string(registry.size());
    if (action == "endorse") {
      for (const char* name : {"payload", "sources", "lineage"}) add(name, std::string(64, '0'));
      add("policy", "0");
      add("size", size);
      add("valid-until", "0");
      add("influence", "7");
    } else if (action == "supersede") {
      add("successor", hex(successor));
      add("size", size);
    } else {
      add("size", size);
      add("reason", "test");
    }
    ledger::Note note{statement_text(statement), {}};
    for (const SignerKey* key : keys) note.signatures.push_back(key->sign(note.text));
    return ledger::format_note(note);
  }
  Event signed_event(EventKind kind, std::string action, const RecordId& record, std::vector<const SignerKey*> keys,
                     const RecordId& successor = {}) {
    Event event(kind, 1, "gateway");
    event.set(Field::kId, ledger::ByteView(record))
        .set(Field::kNote, note(std::move(action), record, std::move(keys), successor));
    if (kind == EventKind::kEndorse || kind == EventKind::kSupersede)
      event.set(Field::kSuccessor, ledger::ByteView(successor));
    return event;
  }
  Event plain(EventKind kind, const RecordId& record) {
    Event event(kind, 1, "gateway");
    event.set(Field::kId, ledger::ByteView(record));
    const RecordId any{};
    if (kind == EventKind::kSuspend) event.set(Field::kCause, "test");
    if (kind == EventKind::kActivate) event.set(Field::kAnchorSet, ledger::ByteView(any));
    if (kind == EventKind::kCompile) {
      event.set(Field::kKvDigest, ledger::ByteView(any)).set(Field::kModel, ledger::ByteView(any));
      event.set(Field::kLayout, "test").set(Field::kTokens, 3);
    }
    return event;
  }
  RecordId endorsed(int number) {
    const RecordId candidate = id(number), anchor = id(number + 100);
    apply(bring(EventKind::kPropose, candidate));
    apply(signed_event(EventKind::kEndorse, "endorse", candidate, {&one}, anchor));
    return anchor;
  }
  RecordId in(Status status) {
    const int n = ++count;
    switch (status) {
      case Status::kAdmitted:
        apply(bring(EventKind::kAdmit, id(n)));
        return id(n);
      case Status::kProposed:
        apply(bring(EventKind::kPropose, id(n)));
        return id(n);
      case Status::kEndorsed:
        return endorsed(n);
      case Status::kCompiled: {
        const RecordId anchor = endorsed(n);
        apply(plain(EventKind::kCompile, anchor));
        return anchor;
      }
      case Status::kActive: {
        const RecordId anchor = in(Status::kCompiled);
        apply(plain(EventKind::kActivate, anchor));
        return anchor;
      }
      case Status::kSuspended:
        apply(bring(EventKind::kQuarantine, id(n)));
        return id(n);
      case Status::kSuperseded: {
        endorsed(n);
        return id(n);  // the candidate
      }
      case Status::kRevoked: {
        apply(bring(EventKind::kAdmit, id(n)));
        apply(signed_event(EventKind::kRevoke, "revoke", id(n), {&op}));
        return id(n);
      }
      case Status::kExpired: {
        Event event = bring(EventKind::kAdmit, id(n));
        event.set(Field::kValidUntil, 1);
        apply(event);
        Event expire(EventKind::kExpire, 2, "clock");
        expire.set(Field::kId, ledger::ByteView(id(n)));
        apply(expire);
        return id(n);
      }
    }
    return {};
  }

  const SignerKey root = SignerKey::generate("root", KeyType::kEd25519),
                  op = SignerKey::generate("op", KeyType::kEd25519),
                  one = SignerKey::generate("one", KeyType::kEd25519),
                  two = SignerKey::generate("two", KeyType::kEd25519);
  Registry registry;
  int count = 0;
};

constexpr Status kAll[] = {Status::kAdmitted,   Status::kProposed, Status::kEndorsed,
                           Status::kCompiled,   Status::kActive,   Status::kSuspended,
                           Status::kSuperseded, Status::kRevoked,  Status::kExpired};

// The table of docs/formats/memory.md, every status against every event: what is not in it does not happen.
TEST(Registry, TakesWhatItsTableHasAndNothingElse) {
  using enum Status;
  const std::map<EventKind, std::set<Status>> table = {
      {EventKind::kEndorse, {kProposed}},
      {EventKind::kCompile, {kEndorsed, kCompiled, kActive}},
      {EventKind::kActivate, {kCompiled, kActive}},
      {EventKind::kSuspend, {kAdmitted, kProposed, kEndorsed, kCompiled, kActive}},
      {EventKind::kRelease, {kSuspended}},
      {EventKind::kSupersede, {kEndorsed, kCompiled, kActive}},
      {EventKind::kRevoke, {kAdmitted, kProposed, kEndorsed, kCompiled, kActive, kSuspended, kSuperseded}},
      {EventKind::kErase, {kAdmitted, kProposed, kEndorsed, kCompiled, kSuspended, kSuperseded, kRevoked, kExpired}},
      {EventKind::kExpire, {}},  // still valid
      {EventKind::kAdmit, {}},   // there already
      {EventKind::kPropose, {}},
      {EventKind::kQuarantine, {}},
  };
  for (const auto& [kind, from] : table) {
    for (const Status status : kAll) {
      if (status == kExpired && kind == EventKind::kExpire) continue;
      Bench bench;
      const RecordId id = bench.in(status);
      ASSERT_EQ(bench.registry.row(id).status, status);
      const RecordId other = kind == EventKind::kSupersede ? bench.endorsed(90) : Bench::id(250);
      Event event;
      switch (kind) {
        case EventKind::kEndorse:
          event = bench.signed_event(kind, "endorse", id, {&bench.one, &bench.two}, other);
          break;
        case EventKind::kRelease:
          event = bench.signed_event(kind, "release", id, {&bench.one, &bench.two});
          break;
        case EventKind::kSupersede:
          event = bench.signed_event(kind, "supersede", id, {&bench.one, &bench.two}, other);
          break;
        case EventKind::kRevoke:
          event = bench.signed_event(kind, "revoke", id, {&bench.op});
          break;
        case EventKind::kAdmit:
        case EventKind::kPropose:
        case EventKind::kQuarantine:
          event = bench.bring(kind, id);
          break;
        default:
          event = bench.plain(kind, id);
      }
      event.time = bench.registry.time();
      EXPECT_EQ(bench.takes(event), from.contains(status)) << event_name(kind) << " of " << status_name(status);
    }
  }
}

TEST(Registry, UpNeedsTheRightKeys) {
  Bench bench;
  const RecordId candidate = Bench::id(1), anchor = Bench::id(2);
  bench.apply(bench.bring(EventKind::kPropose, candidate, Integrity::kExternal));
  const auto endorse = [&](std::vector<const SignerKey*> keys) {
    return bench.takes(bench.signed_event(EventKind::kEndorse, "endorse", candidate, std::move(keys), anchor));
  };
  EXPECT_FALSE(endorse({&bench.one})) << "what is EXTERNAL needs two";
  EXPECT_FALSE(endorse({&bench.one, &bench.op}));
  EXPECT_FALSE(endorse({&bench.root, &bench.op}));
  const SignerKey impostor = SignerKey::generate("two", KeyType::kEd25519);
  EXPECT_FALSE(endorse({&bench.one, &impostor}));
  EXPECT_TRUE(endorse({&bench.one, &bench.two}));
}

TEST(Registry, KeysAreAddedAndRetiredByRootAlone) {
  Bench bench;
  const SignerKey three = SignerKey::generate("three", KeyType::kEd25519);
  const auto change = [&](const char* what, const SignerKey& key, const char* role, const SignerKey& signer) {
    const Statement statement{"key",
                              {{"log", "test"},
                               {"agent", "agent"},
                               {"role", role},
                               {"vkey", key.verifier().vkey()},
                               {"action", what},
                               {"size", std::to_string(bench.registry.size())}}};
    ledger::Note note{statement_text(statement), {}};
    note.signatures.push_back(signer.sign(note.text));
    Event event(EventKind::kKey, 1, "gateway");
    event.set(Field::kNote, ledger::format_note(note));
    return event;
  };
  EXPECT_FALSE(bench.takes(change("add", three, "approver", bench.one)));
  EXPECT_FALSE(bench.takes(change("add", bench.one, "operator", bench.root))) << "no key has two roles";
  bench.apply(change("add", three, "approver", bench.root));
  bench.apply(change("retire", bench.one, "approver", bench.root));
  EXPECT_FALSE(bench.takes(change("add", bench.one, "approver", bench.root))) << "what is retired does not come back";
  bench.apply(bench.bring(EventKind::kPropose, Bench::id(1)));
  const auto endorse = [&](const SignerKey& key) {
    return bench.takes(bench.signed_event(EventKind::kEndorse, "endorse", Bench::id(1), {&key}, Bench::id(2)));
  };
  EXPECT_FALSE(endorse(bench.one));
  EXPECT_TRUE(endorse(three));
}

TEST(Registry, TheSameEventsGiveTheSameRoot) {
  Bench bench;
  std::vector<Event> events;
  for (int i = 1; i < 20; ++i) bench.apply(bench.bring(i % 3 ? EventKind::kAdmit : EventKind::kPropose, Bench::id(i)));
  const Digest root = bench.registry.root();
  Registry copy = bench.registry;
  EXPECT_EQ(copy.root(), root);
  bench.apply(bench.plain(EventKind::kSuspend, Bench::id(1)));
  EXPECT_NE(bench.registry.root(), root);
}

}  // namespace
}  // namespace fieldprint::memory
