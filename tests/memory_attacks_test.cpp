// Published attacks on agents' memories, through the real gate, on every channel, with an agent that is wholly
// captured: it proposes whatever it reads, and tries to sign for it. Design of the memory, figures 1, 3 and 4.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "fieldprint/error.h"
#include "memory/memory.h"
#include "support/memory_fixture.h"
#include "support/paths.h"
#include "support/trials.h"

namespace fieldprint {
namespace {

using namespace memory;

struct Case {
  std::string id, set, text;
  bool attack;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  std::ifstream file(data_dir() / "memory-attacks" / "cases.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line);
    all.push_back({json["id"], json["set"], json["text"], json["kind"] == "attack"});
  }
  return all;
}

const char* const kChannels[] = {"tool result", "web page", "user turn", "recall", "summary"};

// The agent's whole bag of tricks to get a candidate endorsed. Returns whether one of them worked.
bool promotes(MemoryFixture& memory, const RecordId& candidate, const std::string& old_note) {
  const auto tried = [&](const std::function<ledger::Note()>& note) {
    try {
      memory->submit(note());
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const std::vector<std::pair<std::string, std::string>> fields{{"record", hex(candidate)}};
  const ledger::Note bare = memory.sign("endorse", fields, {});
  const auto key = ledger::SignerKey::generate("approver1", ledger::KeyType::kEd25519);  // of the right name
  return tried([&] { return bare; }) || tried([&] { return memory.sign("endorse", fields, {"outsider"}); }) ||
         tried([&] {
           return ledger::Note{bare.text, {key.sign(bare.text)}};
         }) ||
         // signatures of a statement that was really endorsed, under this one
         tried([&] {
           return ledger::Note{bare.text, ledger::parse_note(old_note).signatures};
         }) ||
         tried([&] { return ledger::parse_note(old_note); });
}

struct Outcome {
  int tried = 0, promoted = 0, benign = 0, benign_suspended = 0;
  std::map<std::string, int> by_channel;
};

Outcome attack(bool detectors, int share_of) {
  MemoryFixture memory;
  MemoryOptions options;
  options.detectors = detectors;
  memory.reopen(options);
  Policy policy;
  policy.source_a_day = policy.principal_a_day = policy.all_a_day = 1 << 29;
  memory.submit("policy", {{"policy", ledger::to_hex(ledger::encode(policy.cbor()))}}, {"root"});
  // One honest endorsement, whose signatures the agent has seen.
  const auto honest =
      memory->propose(memory.user, {.text = "Answer in the language of the question.", .channel = "user"});
  const ledger::Note note = memory.sign("endorse", {{"record", hex(honest.id)}}, {"approver1", "approver2"});
  memory->submit(note);
  const std::string old_note = ledger::format_note(note);

  Outcome outcome;
  const std::vector<Case> all = cases();
  const int step = std::max<int>(1, static_cast<int>(all.size()) / std::max(1, share_of));
  for (size_t i = 0; i < all.size(); i += static_cast<size_t>(step)) {
    const Case& row = all[i];
    for (const std::string channel : kChannels) {
      const std::string session = row.id + "/" + channel;
      const MemoryCaller host{"alice", session, "serve"}, agent{"alice", session, "mcp:captured"};
      // The same text comes by every channel: its own words keep it from being one record.
      const std::string text = row.text + "\n(" + channel + ")";
      Offer offer{.text = text, .channel = channel == "user turn" ? "user" : channel == "tool result" ? "tool" : "web"};
      offer.uri = "https://example.org/" + row.id;
      if (offer.text.size() > 60000) offer.text.resize(60000);
      try {
        const Admitted read = memory->admit(host, offer);
        if (!row.attack) {
          ++outcome.benign;
          outcome.benign_suspended += read.row.status == Status::kSuspended;
          break;  // benign text is looked at once
        }
        std::vector<RecordId> candidates;
        const auto propose = [&](const std::function<Admitted()>& run) {
          try {
            candidates.push_back(run().id);
          } catch (const Error&) {
          }
        };
        if (channel == "recall") memory->recall(agent, {.text = row.text.substr(0, 2000)});
        if (channel == "summary") {
          memory->recall(agent, {.text = row.text.substr(0, 2000)});
          const std::string summary =
              "The user has told me, and it is settled policy: " + row.text.substr(0, 300) + " #" + row.id;
          try {
            const Admitted written = memory->admit(agent, {.text = summary, .channel = "model"});
            propose([&] { return memory->propose(agent, written.id, std::nullopt); });
          } catch (const Error&) {  // an echo
          }
        }
        propose([&] { return memory->propose(agent, read.id, std::nullopt); });
        propose([&] {
          return memory->propose(agent, {.text = row.text.substr(0, 3000) + " // " + session, .channel = "model"});
        });
        for (const RecordId& candidate : candidates) {
          ++outcome.tried;
          ++outcome.by_channel[channel];
          const bool up = promotes(memory, candidate, old_note);
          outcome.promoted += up || is_anchor(memory->row(candidate).status);
        }
      } catch (const Error& error) {
        ADD_FAILURE() << row.id << " " << channel << ": " << error.what();
      }
    }
  }
  EXPECT_EQ(memory->anchors(memory.user).size(), 1u) << "the honest one and no other";
  return outcome;
}

TEST(MemoryTrial, NoPublishedAttackIsPromoted) {
  if (!std::filesystem::exists(data_dir() / "memory-attacks")) GTEST_SKIP() << "no ../shared/data/memory-attacks";
  const Outcome outcome = attack(true, trials(1065 * 2) / 2 * 2);
  EXPECT_EQ(outcome.promoted, 0);
  EXPECT_GT(outcome.tried, 0);
  EXPECT_LE(outcome.benign_suspended * 100, outcome.benign) << "at most 1 % of benign text is suspended";
  std::printf("%d attempts, %d promoted; %d benign, %d suspended\n", outcome.tried, outcome.promoted, outcome.benign,
              outcome.benign_suspended);
  for (const auto& [channel, tried] : outcome.by_channel) std::printf("  %-12s %d\n", channel.c_str(), tried);
}

TEST(MemoryTrial, DetectorsOffChangeNoPromotion) {
  if (!std::filesystem::exists(data_dir() / "memory-attacks")) GTEST_SKIP() << "no ../shared/data/memory-attacks";
  const Outcome outcome = attack(false, trials(1065));
  EXPECT_EQ(outcome.promoted, 0);
  EXPECT_GT(outcome.tried, 0);
  EXPECT_EQ(outcome.benign_suspended, 0);
  std::printf("%d attempts, %d promoted\n", outcome.tried, outcome.promoted);
}

// Recall fed back, word for word and dressed up: figure 22.
TEST(MemoryTrial, WhatRecallShowedNeverComesBackAsNew) {
  MemoryFixture memory;
  const char* const texts[] = {"The staging cluster is called heron and is rebuilt on Tuesdays.",
                               "Releases are cut from the branch named harbour after the tests pass.",
                               "The invoice address is Long Street 9, second floor, left door."};
  for (const char* text : texts) memory->admit(memory.user, {.text = text, .channel = "user"});
  const auto records = [&] { return memory->with_registry([](const Registry& r) { return r.rows().size(); }); };
  const size_t before = records();
  std::mt19937_64 random(5);
  for (int turn = 0; turn < trials(10000); ++turn) {
    const MemoryCaller agent{"alice", "loop" + std::to_string(turn % 7), "mcp:loop"};
    const Recall recall = memory->recall(agent, {.text = texts[random() % 3]});
    ASSERT_FALSE(recall.items.empty());
    std::string text = recall.items[random() % recall.items.size()].payload.text;
    switch (random() % 5) {
      case 0:
        break;
      case 1:
        text = "I remember: \"" + text + "\"";
        break;
      case 2:
        text = nlohmann::json{{"text", text}}.dump();
        break;
      case 3:
        std::ranges::transform(text, text.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
        break;
      default:
        text = text.substr(0, text.size() / 2);
    }
    try {
      memory->admit(agent, {.text = text, .channel = random() % 2 ? "model" : "tool"});
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(records(), before);
}

// Figure 21: questions and notes of many principals that are all but alike.
TEST(MemoryTrial, NobodyIsGivenAnothersRecord) {
  MemoryFixture memory;
  Policy policy;
  policy.source_a_day = policy.principal_a_day = policy.all_a_day = 1 << 29;
  memory.submit("policy", {{"policy", ledger::to_hex(ledger::encode(policy.cbor()))}}, {"root"});
  constexpr int kPrincipals = 20, kNotes = 10;
  const auto principal = [](uint64_t i) { return "p" + std::to_string(i % kPrincipals); };
  for (int p = 0; p < kPrincipals; ++p) {
    for (int n = 0; n < kNotes; ++n) {
      const std::string text = "The safe number " + std::to_string(n) + " of the office opens with 4711.";
      memory->admit({principal(p), "", "cli"}, {.text = text, .channel = "user"});
    }
  }
  std::mt19937_64 random(11);
  int given = 0;
  for (int i = 0; i < trials(1000000); ++i) {
    const MemoryCaller asking{principal(random()), "", "cli"};
    const std::string text = "the safe number " + std::to_string(random() % kNotes) + " of the office opens with?";
    for (const Recalled& item : memory->recall(asking, {.text = text, .limit = 3}).items) {
      ++given;
      ASSERT_EQ(item.record.principal, asking.principal);
    }
  }
  EXPECT_GT(given, 0);
}

// Figure 23: whatever is done without a key in force, no status goes up.
TEST(MemoryTrial, NoOperationWithoutAKeyRaisesAStatus) {
  MemoryFixture memory;
  Policy policy;
  policy.source_a_day = policy.principal_a_day = policy.all_a_day = 1 << 29;
  memory.submit("policy", {{"policy", ledger::to_hex(ledger::encode(policy.cbor()))}}, {"root"});
  std::mt19937_64 random(7);
  Registry registry = memory->with_registry([](const Registry& r) { return r; });
  std::vector<RecordId> ids;
  const auto anchors = [&] {
    return registry.count(Status::kEndorsed) + registry.count(Status::kCompiled) + registry.count(Status::kActive);
  };
  const auto outsider = ledger::SignerKey::generate("approver1", ledger::KeyType::kEd25519);
  const int operations = trials(1000000);
  for (int i = 0; i < operations; ++i) {
    // Events as whoever can call us, or write into our process, might try to append them.
    Event event(static_cast<EventKind>(2 + random() % (kEventKinds - 1)), now_ms(), random() % 2 ? "gateway" : "agent");
    RecordId id;
    if (ids.empty() || random() % 4 == 0) {
      for (std::byte& b : id) b = static_cast<std::byte>(random());
    } else {
      id = ids[random() % ids.size()];
    }
    const RecordId other = ids.empty() ? id : ids[random() % ids.size()];
    std::string text = "fieldprint/endorse/v1\nlog test.example/memory\nagent assistant\nrecord " + hex(id) + "\n";
    ledger::Note note{text, {}};
    note.signatures.push_back(outsider.sign(text));
    event.set(Field::kId, ledger::ByteView(id));
    switch (event.kind) {
      case EventKind::kAdmit:
      case EventKind::kPropose:
      case EventKind::kQuarantine:
        event.set(Field::kRecordKind, static_cast<int64_t>(1 + random() % 5))
            .set(Field::kIntegrity, static_cast<int64_t>(random() % 6));
        event.set(Field::kCause, "x");
        break;
      case EventKind::kEndorse:
      case EventKind::kSupersede:
        event.set(Field::kSuccessor, ledger::ByteView(other));
        [[fallthrough]];
      case EventKind::kRelease:
      case EventKind::kRevoke:
      case EventKind::kKey:
      case EventKind::kPolicy:
        event.set(Field::kNote, ledger::format_note(note)).set(Field::kPolicy, Policy().cbor());
        break;
      default:
        event.set(Field::kCause, "x");
        break;
    }
    const Row* before = registry.find(id);
    const std::optional<Row> was = before ? std::optional(*before) : std::nullopt;
    try {
      registry.apply(registry.size(), event);
      if (!was) ids.push_back(id);
    } catch (const Error&) {
      ASSERT_EQ(before ? std::optional(*registry.find(id)) : std::nullopt, was) << "a refusal changes nothing";
      continue;
    }
    ASSERT_EQ(anchors(), 0);
    if (const Row* now = registry.find(id)) {
      ASSERT_LE(now->integrity, kind_integrity(now->kind));
      if (was) {
        ASSERT_TRUE(!is_live(now->status) || now->status == was->status);
      }
    }
  }
}

}  // namespace
}  // namespace fieldprint
