// What src/memory writes, held against the checker that shares no code with it: memories live through random
// operations, allowed and refused ones, and fieldprint-verify finds their exports sound; then it finds damage done to
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "../verify/verify.h"
#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "ledger/bytes.h"
#include "memory/event.h"
#include "memory/export.h"
#include "memory/setup.h"
#include "support/memory_fixture.h"
#include "support/trials.h"

namespace fieldprint::memory {
namespace {

const std::vector<std::string> kWords = {"tea",    "heron", "cluster", "deploy", "router",
                                         "answer", "short", "green",   "Friday", "budget"};

const std::vector<Status> kAnchors = {Status::kEndorsed, Status::kCompiled, Status::kActive};

// Draws operations on a memory and its people. What the memory refuses is as good as what it does.
class Life {
 public:
  explicit Life(uint64_t seed) : random_(seed) {
    MemorySetup setup;
    setup.approvals = 1 + static_cast<int64_t>(below(2));
    memory_ = std::make_unique<MemoryFixture>(std::move(setup));
    if (seed % 4 != 0) return;
    override_ = std::make_unique<OverrideProcess>(OverrideOptions{.directory = override_path()});
    override_thread_ = std::thread([this] { override_->run(); });
  }
  ~Life() {
    if (!override_) return;
    override_->stop();
    override_thread_.join();
  }

  MemoryFixture& memory() { return *memory_; }
  int done() const { return done_; }
  int refused() const { return refused_; }

  void step() {
    try {
      operation();
      ++done_;
    } catch (const Error& error) {
      ASSERT_TRUE(error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kBadFile) << error.what();
      ++refused_;
    }
  }

 private:
  size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
  bool one_of(size_t n) { return below(n) == 0; }

  std::string text() {
    std::string text = "Number " + std::to_string(below(100000));
    for (size_t i = below(6) + 1; i > 0; --i) text += " " + kWords[below(kWords.size())];
    return text;
  }
  RecordId any() {
    return ids_.empty() ? RecordId{} : ids_[ids_.size() - 1 - below(std::min<size_t>(ids_.size(), 40))];
  }
  // Mostly one of these statuses, where there is one.
  RecordId any(const std::vector<Status>& statuses) {
    std::vector<RecordId> found;
    (*memory_)->with_registry([&](const Registry& registry) {
      for (const RecordId& id : registry.sorted_ids()) {
        if (std::ranges::count(statuses, registry.row(id).status) != 0) found.push_back(id);
      }
      return 0;
    });
    return found.empty() || one_of(6) ? any() : found[below(found.size())];
  }
  MemoryCaller caller() {
    const std::string adapters[] = {"chat", "cli", "mcp:test"};
    return {one_of(5) ? "bob" : "alice", one_of(3) ? "" : "s" + std::to_string(below(3)), adapters[below(3)]};
  }
  Offer offer() {
    const std::string channels[] = {"user", "web", "tool", "model", "model", "event"};
    Offer offer;
    offer.text = text();
    offer.channel = channels[below(6)];
    if (offer.channel == "web") offer.uri = "https://example.org/" + std::to_string(below(5));
    if (one_of(8)) offer.valid_until = now_ms() + static_cast<int64_t>(below(40));
    if (one_of(4) && !ids_.empty()) offer.seen = {any()};
    offer.confidence = static_cast<int64_t>(below(101));
    return offer;
  }
  std::vector<std::string> signers() {
    const std::vector<std::string> choices[] = {{"approver1", "approver2"},
                                                {"approver2", "approver3"},
                                                {"approver1", "approver3", "operator"},
                                                {"approver1", "approver2"},
                                                {"approver1"},
                                                {"approver1", "outsider"},
                                                {"operator"},
                                                {"root"}};
    return choices[below(8)];
  }
  void submit(std::string_view action, std::vector<std::pair<std::string, std::string>> fields,
              const std::vector<std::string>& keys) {
    const Submitted submitted = memory_->submit(action, std::move(fields), keys);
    if (submitted.anchor) ids_.push_back(*submitted.anchor);
  }

  std::string override_path() const { return memory_->directory() + "/override"; }
  void command() {
    if (!override_) return;
    OverrideRequest request;
    const std::string commands[] = {"REVOKE", "SUSPEND_SOURCE", "HALT", "NO_ANCHORS", "FREEZE_WRITES"};
    request.command = commands[below(5)];
    if (request.command == "REVOKE") request.arguments = {{"record", hex(any())}};
    if (request.command == "SUSPEND_SOURCE") {
      const std::vector<SourceId> sources = (*memory_)->record(any()).label.sources.ids();
      if (sources.empty()) return;
      request.arguments = {{"source", ledger::to_hex(sources[below(sources.size())])}};
    }
    if (one_of(3)) request.target = "agent=assistant";
    send(request, {"operator"});
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // the memory follows
    OverrideRequest restore;
    restore.command = "RESTORE";
    send(restore, {"approver1", "approver2"});
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  void send(const OverrideRequest& request, const std::vector<std::string>& by) {
    std::string text = make_override_command(override_status(override_path()), request);
    for (const std::string& name : by) text = sign_override_command(text, read_secret(memory_->key(name)));
    send_override(override_path(), text);
  }

  void supersede() {
    RecordId old = any(kAnchors), successor = any(kAnchors);
    const std::vector<RecordId> anchors =
        (*memory_)->with_registry([](const Registry& registry) { return registry.endorsed(); });
    for (const RecordId& id : anchors) {
      if (const auto named = (*memory_)->record(id).supersedes; named && !one_of(4)) {
        successor = id;
        old = *named;
      }
    }
    submit("supersede", {{"record", hex(old)}, {"successor", hex(successor)}}, signers());
  }

  void operation() {
    Memory& memory = **memory_;
    switch (below(24)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        ids_.push_back(memory.admit(caller(), offer()).id);
        break;
      case 5:
      case 6: {
        Query query;
        query.text = text();
        for (const Recalled& item : memory.recall(caller(), query).items) ids_.push_back(item.id);
        break;
      }
      case 7:
        ids_.push_back(memory.propose(caller(), offer()).id);
        break;
      case 8:
      case 9:
        ids_.push_back(memory
                           .propose(caller(), any(), one_of(3) ? std::optional(now_ms() + 30) : std::nullopt,
                                    one_of(2) ? std::optional(any(kAnchors)) : std::nullopt)
                           .id);
        break;
      case 10:
      case 11:
      case 12:
        submit("endorse", {{"record", hex(any({Status::kProposed}))}}, signers());
        break;
      case 13:
        submit("release", {{"record", hex(any({Status::kSuspended}))}}, signers());
        break;
      case 14:
        supersede();
        break;
      case 15:
        if (one_of(4)) submit("revoke", {{"record", hex(any())}}, signers());
        break;
      case 16:
        if (one_of(3)) memory.suspend(one_of(2) ? "gateway" : "monitor", any(), "rule");
        break;
      case 17:
        if (one_of(2)) memory.erase(caller(), any());
        break;
      case 18:
        memory.compiled(any(kAnchors), {}, {}, "layout", static_cast<int64_t>(below(64)));
        break;
      case 19: {
        std::vector<RecordId> anchors;
        memory.with_registry([&](const Registry& registry) {
          for (const auto& [id, row] : registry.rows()) {
            if ((row.status == Status::kCompiled || row.status == Status::kActive) && !one_of(3)) anchors.push_back(id);
          }
          return 0;
        });
        memory.activated(anchors);
        break;
      }
      case 20: {
        Commit commit;
        commit.session = "s1";
        commit.cause = "turn";
        commit.to = static_cast<int64_t>(below(100));
        if (!ids_.empty()) commit.seen = {any()};
        memory.commit(commit);
        break;
      }
      case 21:
        if (one_of(3)) memory.rolled_back("s1", "revoked", 50, 10, 2, {any()});
        break;
      case 22:
        if (one_of(4)) {
          memory_->reopen();
        } else if (one_of(3)) {
          const std::string name = "new" + std::to_string(below(1000000));
          const std::string vkey = make_memory_key(name, memory_->key(name));
          submit("key", {{"role", "approver"}, {"vkey", vkey}, {"change", "add"}}, {"root"});
          if (one_of(2)) submit("key", {{"role", "approver"}, {"vkey", vkey}, {"change", "retire"}}, {"root"});
        } else {
          Policy policy = memory.with_registry([](const Registry& registry) { return registry.policy(); });
          policy.anchor_tokens = static_cast<int64_t>(below(300));
          policy.drift = 3142;
          submit("policy", {{"policy", ledger::to_hex(ledger::encode(policy.cbor()))}}, {"root"});
        }
        break;
      default:
        if (one_of(3)) command();
        else if (one_of(5)) memory.put_state();
        else if (one_of(3)) memory.alarm("drift", text());
        else std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until something expires
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<MemoryFixture> memory_;
  std::unique_ptr<OverrideProcess> override_;
  std::thread override_thread_;
  std::vector<RecordId> ids_;
  int done_ = 0, refused_ = 0;
};

std::string faults_of(const std::string& directory) {
  const verify::Report report = verify::check(verify::open_directory(directory).get(), {});
  return report.sound() ? "" : report.text();
}

TEST(MemoryVerifyTrial, WhatAMemoryExportsIsSound) {
  int done = 0, refused = 0;
  std::map<EventKind, int> kinds;
  for (int64_t seed = 0; seed < trials(1000); ++seed) {
    Life life(static_cast<uint64_t>(seed));
    for (int i = 0; i < 200; ++i) life.step();
    done += life.done();
    refused += life.refused();
    life.memory()->ledger().leaves(0, life.memory()->ledger().durable_size(),
                                   [&](int64_t, ledger::ByteView leaf) { ++kinds[decode_event(leaf).kind]; });
    const std::string out = (life.memory().root() / "export").string();
    export_memory(*life.memory(), life.memory().user, out, seed % 2 == 0);
    ASSERT_EQ(faults_of(out), "") << "seed " << seed;
    ASSERT_EQ(verify_memory(*life.memory()).faults, std::vector<std::string>());
  }
  EXPECT_GT(done, refused / 4);
  EXPECT_GT(refused, 0);
  for (const auto& [kind, count] : kinds) std::cout << event_name(kind) << " " << count << ", ";
  std::cout << done << " operations done, " << refused << " refused\n";
  if (trials(1000) >= 50) {  // some are rare
    EXPECT_EQ(kinds.size(), static_cast<size_t>(kEventKinds));
  }
}

TEST(MemoryVerify, AnExportIsSoundWhileOthersWrite) {
  MemoryFixture fixture;
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const MemoryCaller caller{"alice", "s" + std::to_string(writer), "chat"};
      for (int i = 0; !done; ++i) {
        Offer offer;
        offer.text = "Number " + std::to_string(i) + " of writer " + std::to_string(writer);
        offer.channel = i % 3 == 0 ? "web" : "model";
        const RecordId id = fixture->admit(caller, offer).id;
        if (i % 4 == 1) fixture->suspend("gateway", id, "rule");
        if (i % 4 == 2) fixture->erase(caller, id);
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    const std::string out = (fixture.root() / ("export" + std::to_string(i))).string();
    export_memory(*fixture, fixture.user, out, true);
    EXPECT_EQ(faults_of(out), "");
  }
  done = true;
  for (std::thread& writer : writers) writer.join();
}

TEST(MemoryVerify, AProofIsCheckedByItsFileAlone) {
  MemoryFixture fixture;
  const RecordId anchor = fixture.anchor("Answer in short sentences.");
  fixture.close();
  const auto memory = open_memory({.directory = fixture.directory()});
  const auto call = [&](std::string_view method, const std::string& params) {
    return nlohmann::json::parse(memory->call(fixture.user, method, params));
  };
  const std::string text = call("proof", R"({"id": ")" + hex(anchor) + R"("})").at("text");
  const std::string out = (fixture.root() / "export").string();
  call("export", nlohmann::json{{"directory", out}}.dump());
  std::string vkey;
  std::getline(std::ifstream(out + "/log.vkey"), vkey);

  verify::Options options;
  options.log = verify::parse_vkey(vkey);
  options.proof = verify::Given{"proof", text};
  EXPECT_TRUE(verify::check(nullptr, options).sound());
  EXPECT_TRUE(verify::check(verify::open_directory(out).get(), options).sound());
  for (size_t at = 0; at < text.size(); at += 7) {
    options.proof->bytes = text;
    options.proof->bytes[at] ^= 1;
    EXPECT_FALSE(verify::check(nullptr, options).sound()) << at;
  }
}

TEST(MemoryVerifyTrial, EverySingleBitFlipOfAnExportIsFound) {
  Life life(1);
  for (int i = 0; i < 150; ++i) life.step();
  const std::filesystem::path out = life.memory().root() / "export";
  export_memory(*life.memory(), life.memory().user, out.string(), true);
  std::map<std::string, std::string> files;
  std::vector<std::pair<std::string*, size_t>> bits;  // a file, and which of its bits
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[std::filesystem::relative(entry.path(), out).string()] =
        std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  for (auto& [path, bytes] : files) {
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) bits.emplace_back(&bytes, bit);
  }
  ASSERT_GE(files.size(), 6u);  // checkpoint, key, records, payloads, a tile, a bundle
  verify::Options options;
  const auto sound = [&] { return verify::check(verify::in_memory(files).get(), options).sound(); };
  ASSERT_TRUE(sound());
  options.faults_max = 1;
  std::mt19937_64 random(7);
  for (int i = 0; i < trials(100'000); ++i) {
    const auto& [bytes, bit] = bits[random() % bits.size()];
    const auto flip = [bytes = bytes, bit = bit] {
      (*bytes)[bit / 8] = static_cast<char>((*bytes)[bit / 8] ^ 1 << bit % 8);
    };
    flip();
    ASSERT_FALSE(sound()) << "bit " << bit << " of a file of " << bytes->size() << " bytes";
    flip();
  }
}

}  // namespace
}  // namespace fieldprint::memory
