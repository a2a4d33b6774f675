#include "ledger/witness.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "fieldprint/error.h"
#include "ledger/merkle.h"
#include "support/files.h"
#include "support/temp_home.h"

namespace fieldprint::ledger {
namespace {

class Witnesses : public testing::Test {
 protected:
  Witnesses() {
    for (int i = 0; i < 40; ++i) leaves.push_back(leaf_hash(view_of(std::to_string(i))));
    fork = leaves;
    fork[3] = leaf_hash(view_of("other"));
    witness = open();
  }
  std::unique_ptr<Witness> open() {
    return std::make_unique<Witness>(key, home.path() / "witness", std::vector{log.verifier()});
  }
  static HashReader reader_of(const std::vector<Digest>& list) {
    return [&list](int level, int64_t index) {
      return subtree_root(std::span(list).subspan(static_cast<size_t>(index) << level, size_t{1} << level));
    };
  }
  std::string text_of_size(int64_t size, const std::vector<Digest>& list) const {
    return checkpoint_text({"log.example/a", size, tree_root(size, reader_of(list))});
  }
  std::string request(int64_t old_size, int64_t size, const std::vector<Digest>& list) const {
    const std::string text = text_of_size(size, list);
    const auto proof = old_size <= size ? consistency_proof(old_size, size, reader_of(list)) : std::vector<Digest>();
    return witness_request(old_size, proof, format_note({text, {log.sign(text)}}));
  }
  WitnessAnswer ask(int64_t old_size, int64_t size) { return witness->add_checkpoint(request(old_size, size, leaves)); }
  WitnessAnswer ask_fork(int64_t old_size, int64_t size) {
    return witness->add_checkpoint(request(old_size, size, fork));
  }

  TempHome home;
  SignerKey log = SignerKey::generate("log.example/a", KeyType::kEd25519);
  SignerKey key = SignerKey::generate("witness.example/w", KeyType::kCosignature);
  std::vector<Digest> leaves, fork;
  std::unique_ptr<Witness> witness;
};

TEST_F(Witnesses, CosignWhatGrows) {
  int64_t old_size = 0;
  for (const int64_t size : {1, 2, 7, 7, 8, 33, 40}) {
    const WitnessAnswer answer = ask(old_size, size);
    ASSERT_EQ(answer.status, 200) << answer.body;
    const auto signatures = parse_signatures(answer.body);
    ASSERT_EQ(signatures.size(), 1u);
    EXPECT_TRUE(key.verifier().verify(text_of_size(size, leaves), signatures[0]));
    EXPECT_GT(cosignature_time(signatures[0]), 1'600'000'000u);
    old_size = size;
  }
}

TEST_F(Witnesses, RefuseForksAndStepsBack) {
  ASSERT_EQ(ask(0, 10).status, 200);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ask_fork(10, 20).status, 422);  // a proof of another tree
    EXPECT_EQ(ask_fork(10, 10).status, 422);  // two roots for a size
    EXPECT_EQ(ask_fork(0, 20).status, 409);   // as if nothing had been
    const WitnessAnswer back = ask(5, 7);
    EXPECT_EQ(back.status, 409);
    EXPECT_EQ(back.body, "10\n");
    EXPECT_EQ(ask(10, 7).status, 400);
    witness.reset();
    witness = open();  // what it has seen outlives it
  }
  EXPECT_EQ(ask(10, 11).status, 200);
}

TEST_F(Witnesses, RefuseWhatTheLogDidNotSign) {
  std::string forged = request(0, 3, leaves);
  const SignerKey other = SignerKey::generate("log.example/a", KeyType::kEd25519);
  const std::string text = text_of_size(3, leaves);
  EXPECT_EQ(witness->add_checkpoint(witness_request(0, {}, format_note({text, {other.sign(text)}}))).status, 403);
  Note wrong{text, {log.sign(text)}};
  wrong.signatures[0].bytes[5] ^= std::byte{1};
  EXPECT_EQ(witness->add_checkpoint(witness_request(0, {}, format_note(wrong))).status, 403);
  const std::string strange = checkpoint_text({"log.example/b", 3, tree_root(3, reader_of(leaves))});
  EXPECT_EQ(witness->add_checkpoint(witness_request(0, {}, format_note({strange, {log.sign(strange)}}))).status, 404);
  const Digest hash{};
  EXPECT_EQ(witness->add_checkpoint(witness_request(0, {&hash, 1}, format_note({text, {log.sign(text)}}))).status, 422);
}

TEST_F(Witnesses, RefuseWhatIsMalformed) {
  const std::string good = request(0, 3, leaves);
  for (const std::string& bad :
       {std::string(), std::string("old 0"), std::string("old 0\n"), "old 00" + good.substr(5), "new" + good.substr(3),
        good.substr(0, good.size() - 1), "old 0\nAAAA\n" + good.substr(6)}) {
    EXPECT_EQ(witness->add_checkpoint(bad).status, 400) << bad;
  }
  EXPECT_EQ(witness->add_checkpoint(good).status, 200);
}

TEST_F(Witnesses, KeepTheirStateToThemselves) {
  ask(0, 10);
  EXPECT_THROW(open(), Error);  // a second one
  witness.reset();
  std::string state = slurp(home.path() / "witness");
  for (size_t bit = 0; bit < state.size() * 8; bit += 3) {
    std::string broken = state;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ 1 << bit % 8);
    spill(home.path() / "witness", broken);
    EXPECT_THROW(open(), Error) << bit;
  }
  spill(home.path() / "witness", "");
  EXPECT_THROW(open(), Error);
  spill(home.path() / "witness", state);
  EXPECT_NO_THROW(open());
  EXPECT_THROW(Witness(log, home.path() / "x", {}), Error);  // a log's key is no witness's
}

TEST_F(Witnesses, AnswerOnASocket) {
  std::atomic<bool> stop{false};
  const auto path = home.path() / "socket";
  std::thread server([&] { serve_witness(*witness, path, [&] { return stop.load(); }); });
  const WitnessLink link = witness_at(path, key.verifier());
  for (int i = 0; i < 200 && !std::filesystem::exists(path); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  WitnessAnswer answer = link.call(request(0, 10, leaves));
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(key.verifier().verify(text_of_size(10, leaves), parse_signatures(answer.body).at(0)));
  answer = link.call(request(0, 10, leaves));
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.body, "10\n");
  stop = true;
  server.join();
  EXPECT_THROW(link.call(request(10, 11, leaves)), Error);
}

}  // namespace
}  // namespace fieldprint::ledger
