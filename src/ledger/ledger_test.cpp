#include "ledger/ledger.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "support/files.h"
#include "support/temp_home.h"
#include "support/trials.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Bytes bytes_of(std::string_view text) { return {view_of(text).begin(), view_of(text).end()}; }

class Ledgers : public testing::Test {
 protected:
  LedgerOptions options() const {
    LedgerOptions with{.origin = "log.example/a", .signer = key};
    with.interval = 5ms;
    return with;
  }
  std::unique_ptr<Ledger> open(const LedgerOptions& with) const { return std::make_unique<Ledger>(dir, with); }
  std::unique_ptr<Ledger> open() const { return open(options()); }
  // Appends leaves "N", the row (1, "N") = "N" with each, and signs.
  static void grow(Ledger& ledger, int count, bool sign = true) {
    const int64_t begin = ledger.durable_size();
    for (int64_t i = begin; i < begin + count; ++i) {
      const Bytes text = bytes_of(std::to_string(i));
      ledger.enqueue({text}, {{1, text, text}});
    }
    ledger.wait_durable(begin + count);
    if (sign) ledger.sign();
  }
  void expect_whole(const Ledger& ledger, int64_t size) const {
    ASSERT_EQ(ledger.durable_size(), size);
    MerkleTree tree;
    ledger.leaves(0, size, [&](int64_t index, ByteView leaf) {
      EXPECT_EQ(text_of(leaf), std::to_string(index));
      tree.append(leaf_hash(leaf));
    });
    EXPECT_EQ(ledger.root(size), tree.root());
    EXPECT_EQ(ledger.check({1}), std::vector<std::string>());
  }

  TempHome home;
  fs::path dir = home.path() / "ledger";
  SignerKey key = SignerKey::generate("log.example/a", KeyType::kEd25519);
  SignerKey witness_key = SignerKey::generate("witness.example/w", KeyType::kCosignature);
};

TEST_F(Ledgers, AppendProveAndOpenAgain) {
  for (const int64_t begin : {0, 300}) {
    const auto ledger = open();
    EXPECT_EQ(ledger->read_only(), "");
    EXPECT_EQ(ledger->durable_size(), begin);
    EXPECT_EQ(ledger->signed_size(), begin);
    grow(*ledger, 300);
    EXPECT_EQ(ledger->signed_size(), begin + 300);
    for (const int64_t index : {int64_t{0}, int64_t{255}, int64_t{256}, begin + 299}) {
      const ProofFile proof = parse_proof(ledger->proof(index));
      EXPECT_EQ(verify_proof(proof, leaf_hash(view_of(std::to_string(index))), key.verifier(), {}, 0).size,
                begin + 300);
      EXPECT_TRUE(ledger->included(index));
    }
    EXPECT_FALSE(ledger->included(begin + 300));
    EXPECT_THROW(ledger->proof(begin + 300), Error);
    EXPECT_EQ(text_of(*ledger->get(1, view_of("17"))), "17");
    expect_whole(*ledger, begin + 300);
  }
}

TEST_F(Ledgers, EveryHeadFollowsFromTheOnesBefore) {
  Rng rng(11);
  std::vector<Checkpoint> heads;
  for (int i = 0; i < 30; ++i) {
    const auto ledger = open();
    grow(*ledger, 1 + static_cast<int>(rng.below(20)));
    const Checkpoint head = open_checkpoint(parse_note(ledger->checkpoint()), key.verifier());
    EXPECT_EQ(head.root, ledger->root(head.size));
    TileReader reader(dir, head.size);
    for (const Checkpoint& before : heads) {
      const auto proof = consistency_proof(before.size, head.size, std::ref(reader));
      EXPECT_TRUE(verify_consistency(before.size, before.root, head.size, head.root, proof));
      EXPECT_EQ(ledger->root(before.size), before.root);
    }
    heads.push_back(head);
  }
}

TEST_F(Ledgers, ManyThreadsShareTransactions) {
  const auto ledger = open();
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::pair<int64_t, std::string>> written;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const std::string text = std::to_string(t) + ":" + std::to_string(i);
        const int64_t index = ledger->append({bytes_of(text)}, {{2, bytes_of(text), {}}});
        EXPECT_GE(ledger->durable_size(), index + 1);
        if (i % 16 == 0) {
          ledger->wait_signed(index + 1);
          EXPECT_GE(ledger->signed_size(), index + 1);
        }
        const std::lock_guard lock(mutex);
        written.emplace_back(index, text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(written.begin(), written.end());
  for (size_t i = 0; i < written.size(); ++i) {
    EXPECT_EQ(written[i].first, static_cast<int64_t>(i));
    EXPECT_EQ(text_of(ledger->leaf(written[i].first)), written[i].second);
  }
  ledger->sign();
  EXPECT_EQ(ledger->check({1, 2}), std::vector<std::string>());
}

TEST_F(Ledgers, TheOrderIsFixedWhenEnqueued) {
  const auto ledger = open();
  EXPECT_EQ(ledger->enqueue({bytes_of("a"), bytes_of("b")}, {}), 0);
  EXPECT_EQ(ledger->enqueue({}, {{1, bytes_of("k"), bytes_of("v")}}), 2);
  EXPECT_EQ(ledger->enqueue({bytes_of("c")}, {}), 2);
  ledger->wait_durable(3);
  EXPECT_EQ(text_of(ledger->leaf(2)), "c");
  EXPECT_EQ(text_of(*ledger->get(1, view_of("k"))), "v");
  EXPECT_THROW(ledger->wait_durable(4), Error);
  ledger->append({}, {{1, bytes_of("k"), std::nullopt}});  // rows alone are durable too
  EXPECT_EQ(ledger->get(1, view_of("k")), std::nullopt);
  EXPECT_THROW(ledger->enqueue({Bytes(kLeafMax + 1)}, {}), Error);
  EXPECT_NO_THROW(ledger->append({Bytes(kLeafMax)}, {}));
}

TEST_F(Ledgers, SignByThemselves) {
  const auto ledger = open();
  grow(*ledger, 3, false);
  for (int i = 0; i < 400 && ledger->signed_size() < 3; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(ledger->signed_size(), 3);
}

TEST_F(Ledgers, AnUnsignedTailIsSignedAtTheNextStart) {
  LedgerOptions slow = options();
  {
    const auto ledger = open();
    grow(*ledger, 10);
  }
  {
    // A witness that cannot be reached: durable, not signed. Its quorum is 1.
    slow.witnesses = {
        {witness_key.verifier(), [](std::string_view) -> WitnessAnswer { throw Error(ErrorKind::kIo, "away"); }}};
    const auto ledger = open(slow);
    grow(*ledger, 5, false);
    EXPECT_NE(refusal([&] { ledger->sign(); }).find("does not cosign"), std::string::npos);
    EXPECT_EQ(ledger->durable_size(), 15);
  }
  const auto ledger = open();
  ledger->sign();
  EXPECT_EQ(ledger->signed_size(), 15);
  expect_whole(*ledger, 15);
}

TEST_F(Ledgers, WitnessesCosign) {
  Witness witness(witness_key, home.path() / "witness", {key.verifier()});
  LedgerOptions with = options();
  with.witnesses = {witness.link()};
  for (int i = 1; i <= 3; ++i) {
    const auto ledger = open(with);
    grow(*ledger, 7);
    grow(*ledger, 7);
    const ProofFile proof = parse_proof(ledger->proof(3));
    EXPECT_EQ(verify_proof(proof, leaf_hash(view_of("3")), key.verifier(), {&witness_key.verifier(), 1}, 1).size,
              i * 14);
  }
  // It catches up with what was signed without it.
  grow(*open(), 5);
  const auto ledger = open(with);
  grow(*ledger, 5);
  EXPECT_EQ(verify_note(parse_note(ledger->checkpoint()), {&witness_key.verifier(), 1}).size(), 1u);
}

TEST_F(Ledgers, AQuorumDoesWithoutTheRest) {
  Witness witness(witness_key, home.path() / "witness", {key.verifier()});
  LedgerOptions with = options();
  with.witnesses = {{SignerKey::generate("w2", KeyType::kCosignature).verifier(),
                     [](std::string_view) -> WitnessAnswer {
                       return {500, "no\n"};
                     }},
                    witness.link()};
  with.quorum = 1;
  const auto ledger = open(with);
  grow(*ledger, 2);
  EXPECT_EQ(ledger->signed_size(), 2);
}

// -- Storage that was put back, copied, or opened twice ---------------------------------------------------------------

void copy_directory(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

// Over the files that are there, so that they stay the same to the file system.
void copy_over(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.is_regular_file()) spill(to / entry.path().filename(), slurp(entry.path()));
  }
}

class Restored : public Ledgers {
 protected:
  Restored() {
    {
      const auto ledger = open();
      grow(*ledger, 300);
    }
    copy_directory(dir, old);
    const auto ledger = open();
    grow(*ledger, 10);
  }
  // Nothing is written, and the reason says so.
  void expect_refused(const LedgerOptions& with, const std::string& reason) {
    const std::string before = slurp(dir / "checkpoint");
    {
      const auto ledger = open(with);
      EXPECT_NE(ledger->read_only().find(reason), std::string::npos) << ledger->read_only();
      EXPECT_NE(refusal([&] { ledger->append({bytes_of("x")}, {}); }).find("read-only"), std::string::npos);
      EXPECT_NE(refusal([&] { ledger->enqueue({bytes_of("x")}, {}); }).find(reason), std::string::npos);
      EXPECT_EQ(text_of(ledger->leaf(17)), "17");
      EXPECT_EQ(ledger->root(300), open_checkpoint(parse_note(slurp(old / "checkpoint")), key.verifier()).root);
    }
    EXPECT_EQ(slurp(dir / "checkpoint"), before);
  }
  fs::path old = home.path() / "old";
};

TEST_F(Restored, AnOlderStoreIsRefused) {
  spill(dir / "ledger.db", slurp(old / "ledger.db"));
  expect_refused(options(), "the storage was rolled back: 310 leaves were signed, 300 are there");
  LedgerOptions with = options();
  with.restore = true;
  EXPECT_NE(refusal([&] { open(with); }).find("only go on as another log"), std::string::npos);
}

TEST_F(Restored, AnOlderDatabaseOfSignaturesIsRefused) {
  spill(dir / "sign.db", slurp(old / "sign.db"));
  expect_refused(options(), "sign.db was rolled back: size 310 was published, it knows 300");
}

TEST_F(Restored, BothOlderAreRefused) {
  spill(dir / "ledger.db", slurp(old / "ledger.db"));
  spill(dir / "sign.db", slurp(old / "sign.db"));
  expect_refused(options(), "sign.db was rolled back");
}

TEST_F(Restored, AMissingDatabaseOfSignaturesIsRefused) {
  fs::remove(dir / "sign.db");
  expect_refused(options(), "sign.db does not know this ledger");
}

TEST_F(Restored, AnEmptyStoreIsRefused) {
  fs::remove(dir / "ledger.db");
  const auto ledger = open();
  EXPECT_NE(ledger->read_only(), "");
  EXPECT_THROW(ledger->append({bytes_of("x")}, {}), Error);
}

TEST_F(Restored, ACopiedDirectoryIsRefused) {
  const fs::path original = dir;
  copy_directory(dir, home.path() / "copy");
  dir = home.path() / "copy";
  expect_refused(options(), "is a copy");
  // The original goes on.
  dir = original;
  grow(*open(), 1);
  // Renamed, it is still the same.
  fs::rename(original, home.path() / "renamed");
  dir = home.path() / "renamed";
  const auto ledger = open();
  grow(*ledger, 1);
  expect_whole(*ledger, 312);
}

TEST_F(Restored, ACopiedDatabaseIsRefused) {
  // From another ledger; of the same one, but a new file.
  const fs::path mine = dir;
  dir = home.path() / "other";
  grow(*open(), 400);
  dir = mine;
  const std::string own = slurp(dir / "ledger.db");
  spill(dir / "ledger.db", slurp(home.path() / "other" / "ledger.db"));
  expect_refused(options(), "ledger.db is another ledger's than sign.db");
  fs::remove(dir / "ledger.db");
  spill(dir / "ledger.db", own);
  expect_refused(options(), "is a copy");
}

TEST_F(Restored, AllFilesInTheirPlacesAreKnownToTheWitness) {
  Witness witness(witness_key, home.path() / "witness", {key.verifier()});
  LedgerOptions with = options();
  with.witnesses = {witness.link()};
  grow(*open(with), 1);
  copy_over(old, dir);  // all older, and all consistent: nothing here can tell
  const auto ledger = open(with);
  EXPECT_NE(ledger->read_only().find("the witness witness.example/w has cosigned size 311"), std::string::npos);
}

TEST_F(Restored, AWitnessThatAnswersOnlyLaterStopsAFork) {
  Witness witness(witness_key, home.path() / "witness", {key.verifier()});
  LedgerOptions with = options();
  with.witnesses = {witness.link()};
  grow(*open(with), 1);
  copy_over(old, dir);
  bool away = true;
  with.interval = 1h;  // it signs when asked to, and not amid the appends
  with.witnesses = {{witness_key.verifier(), [&](std::string_view request) {
                       if (away) throw Error(ErrorKind::kIo, "away");
                       return witness.add_checkpoint(request);
                     }}};
  const auto ledger = open(with);
  EXPECT_EQ(ledger->read_only(), "");
  for (int i = 0; i < 20; ++i) ledger->append({bytes_of("fork")}, {});
  EXPECT_THROW(ledger->sign(), Error);
  EXPECT_EQ(ledger->signed_size(), 0);  // what was published then had no cosignature
  away = false;
  EXPECT_THROW(ledger->sign(), Error);
  EXPECT_NE(refusal([&] { ledger->append({bytes_of("x")}, {}); }).find("is a fork"), std::string::npos);
  EXPECT_EQ(ledger->signed_size(), 0);  // what was published then had no cosignature
}

TEST_F(Restored, ASecondInstanceIsRefused) {
  const auto ledger = open();
  EXPECT_NE(refusal([&] { open(); }).find("another process works with it"), std::string::npos);
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      Ledger second(dir, options());
      ::_exit(0);
    } catch (const Error&) {
      ::_exit(1);
    }
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  grow(*ledger, 1);
}

TEST_F(Restored, WhoSaysRestoreTakesACopyAsItIs) {
  copy_directory(dir, home.path() / "copy");
  dir = home.path() / "copy";
  LedgerOptions with = options();
  with.restore = true;
  grow(*open(with), 1);
  const auto ledger = open();  // and that holds
  grow(*ledger, 1);
  expect_whole(*ledger, 312);
}

TEST_F(Restored, LostLeavesAreGivenUpUnderAnotherOrigin) {
  const std::string lost = slurp(dir / "checkpoint");
  spill(dir / "ledger.db", slurp(old / "ledger.db"));
  LedgerOptions with = options();
  with.restore = true;
  with.origin = "log.example/a2";
  with.signer = SignerKey::generate(with.origin, KeyType::kEd25519);
  {
    const auto ledger = open(with);
    EXPECT_EQ(ledger->read_only(), "");
    EXPECT_EQ(parse_note(ledger->abandoned()), parse_note(lost));
    ledger->sign();
    EXPECT_EQ(ledger->signed_size(), 300);
    grow(*ledger, 20);
    expect_whole(*ledger, 320);
  }
  with.restore = false;
  const auto ledger = open(with);
  EXPECT_EQ(ledger->read_only(), "");
  EXPECT_EQ(parse_note(ledger->abandoned()), parse_note(lost));
  EXPECT_EQ(parse_note(slurp(dir / "checkpoint.given-up-310")), parse_note(lost));
}

TEST_F(Restored, AnotherOriginIsRefused) {
  LedgerOptions with = options();
  with.origin = "log.example/b";
  EXPECT_THROW(open(with), Error);  // not the key's name
  with.signer = SignerKey::generate(with.origin, KeyType::kEd25519);
  EXPECT_NE(refusal([&] { open(with); }).find("is the ledger of log.example/a, not of log.example/b"),
            std::string::npos);
  with = options();
  with.signer = SignerKey::generate(with.origin, KeyType::kEd25519);
  EXPECT_NE(open(with)->read_only().find("another key signed"), std::string::npos);
}

TEST_F(Restored, DamagedTilesAreMadeAnewOutOfTheLeaves) {
  fs::remove_all(dir / "tile" / "0");
  EXPECT_THROW(open(), Error);
  LedgerOptions with = options();
  with.restore = true;
  const auto ledger = open(with);
  grow(*ledger, 3);
  expect_whole(*ledger, 313);
}

// -- Bits
// --------------------------------------------------------------------------------------------------------------

class LedgerTrial : public Ledgers {};

TEST_F(LedgerTrial, NoBitOfATileABundleOrTheCheckpointIsFree) {
  {
    const auto ledger = open();
    grow(*ledger, 260);
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "tile")) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  files.push_back(dir / "checkpoint");
  const auto unopened = [&] {
    try {
      const auto ledger = open();
      return !ledger->read_only().empty() || !ledger->check({1}).empty();
    } catch (const Error&) {
      return true;
    }
  };
  ASSERT_FALSE(unopened());
  Rng rng(13);
  const int count = trials(50'000);
  int found = 0;
  for (int i = 0; i < count; ++i) {
    const fs::path& file = files[rng.next() % files.size()];
    const std::string whole = slurp(file);
    std::string broken = whole;
    const int64_t bit = rng.below(static_cast<int64_t>(whole.size()) * 8);
    broken[static_cast<size_t>(bit / 8)] = static_cast<char>(broken[static_cast<size_t>(bit / 8)] ^ 1 << bit % 8);
    spill(file, broken);
    const bool caught = unopened();
    EXPECT_TRUE(caught) << file << " bit " << bit;
    found += caught;
    spill(file, whole);
  }
  EXPECT_EQ(found, count);
  EXPECT_FALSE(unopened());
}

TEST_F(Ledgers, ExportsWhatTheCheckpointStandsFor) {
  const auto ledger = open();
  grow(*ledger, 300);
  grow(*ledger, 1);
  const fs::path to = home.path() / "export";
  fs::create_directory(to);
  ledger->export_to(to);
  const Checkpoint head = open_checkpoint(parse_note(slurp(to / "checkpoint")), key.verifier());
  EXPECT_EQ(head.size, 301);
  TileReader reader(to, 301);
  EXPECT_EQ(tree_root(301, std::ref(reader)), head.root);
  for (int64_t i = 0; i < 301; ++i) {
    EXPECT_EQ(text_of(reader.bundle(i / 256)[static_cast<size_t>(i % 256)]), std::to_string(i));
  }
}

// A limit on the size of files stands for a disk that is full: the write is refused in the midst of a commit.
TEST_F(Ledgers, AfterAFullDiskEverythingIsRefusedUntilTheNextStart) {
  {
    const auto ledger = open();
    grow(*ledger, 5);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{16 << 10, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    const std::string first = refusal([&] { ledger->append({Bytes(60'000)}, {}); });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, handler);
    EXPECT_NE(first.find("the ledger has stopped"), std::string::npos) << first;
    // There is room again; but nobody knows what reached the disk.
    EXPECT_EQ(refusal([&] { ledger->append({bytes_of("x")}, {}); }), first);
    EXPECT_EQ(refusal([&] { ledger->wait_signed(5 + 1); }), first);
    EXPECT_NE(refusal([&] { ledger->leaf(0); }).find("has stopped for good"), std::string::npos);
    EXPECT_NE(refusal([&] { ledger->get(1, view_of("0")); }).find("has stopped for good"), std::string::npos);
  }
  const auto ledger = open();
  EXPECT_GE(ledger->durable_size(), 5);
  if (ledger->durable_size() == 5) grow(*ledger, 5);
  EXPECT_EQ(ledger->check({1}), std::vector<std::string>());
}

TEST_F(Ledgers, ALeafThatChangedOnDiskIsNotSigned) {
  LedgerOptions slow = options();
  slow.interval = 1h;
  const auto ledger = open(slow);
  grow(*ledger, 1);  // from here on it signs only when asked
  grow(*ledger, 5, false);
  {
    Sqlite db(dir / "ledger.db", "the same file under another hand");
    Statement(db, "UPDATE leaves SET leaf = ?, hash = ? WHERE number = 3")
        .bind_blob(bytes_of("x"))
        .bind_blob(leaf_hash(view_of("x")))
        .run();
  }
  EXPECT_NE(refusal([&] { ledger->sign(); }).find("leaf 3 on disk is not the one that came in"), std::string::npos);
  EXPECT_EQ(ledger->signed_size(), 1);
  EXPECT_THROW(ledger->append({bytes_of("y")}, {}), Error);
}

}  // namespace
}  // namespace fieldprint::ledger
