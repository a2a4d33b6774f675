// Our files held against golang.org/x/mod/sumdb, and its against us: tests/ledger_sumdb_test.py runs both sides of it.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "ledger/proof_file.h"
#include "ledger/tiles.h"
#include "ledger/witness.h"
#include "support/files.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

void make_log(const fs::path& dir, Rng& rng) {
  fs::create_directories(dir);
  const SignerKey key = SignerKey::generate("log.example/" + std::to_string(rng.below(1'000'000)), KeyType::kEd25519);
  const SignerKey witness = SignerKey::generate("witness.example/w", KeyType::kCosignature);
  const int64_t size = 1 + rng.below(rng.below(20) == 0 ? 66'000 : 600);
  TileWriter writer(dir, 0);
  for (int64_t i = 0; i < size; ++i) {
    Bytes leaf(static_cast<size_t>(rng.below(40)));
    for (std::byte& byte : leaf) byte = static_cast<std::byte>(rng.next());
    writer.append(leaf, leaf_hash(leaf));
  }
  writer.flush();
  const std::string text = checkpoint_text({key.verifier().name(), size, writer.root()});
  const std::string note = format_note({text, {key.sign(text), witness.sign(text, 1'700'000'000)}});
  spill(dir / "checkpoint", note);
  spill(dir / "vkey", key.verifier().vkey());
  spill(dir / "skey", key.skey());
  TileReader reader(dir, size);
  for (int i = 0; i < 4; ++i) {
    const int64_t index = rng.below(size), old_size = 1 + rng.below(size);
    spill(dir / (std::to_string(index) + ".tlog-proof"),
          format_proof({{}, index, inclusion_proof(index, size, std::ref(reader)), note}));
    spill(dir / (std::to_string(old_size) + ".request"),
          witness_request(old_size, consistency_proof(old_size, size, std::ref(reader)), note));
  }
}

void check_log(const fs::path& dir, int& proofs) {
  const VerifierKey key = VerifierKey::parse(slurp(dir / "vkey"));
  const SignerKey signer = SignerKey::parse(slurp(dir / "skey"));
  EXPECT_EQ(signer.verifier(), key);
  const Note note = parse_note(slurp(dir / "checkpoint"));
  const Checkpoint head = open_checkpoint(note, key);
  EXPECT_EQ(format_note({note.text, {signer.sign(note.text)}}), slurp(dir / "checkpoint"));
  TileReader reader(dir, head.size);
  EXPECT_EQ(tree_root(head.size, std::ref(reader)), head.root);
  MerkleTree tree;
  for (int64_t bundle = 0; reader.width(kEntries, bundle) > 0; ++bundle) {
    for (const Bytes& leaf : reader.bundle(bundle)) {
      EXPECT_EQ(leaf_hash(leaf), reader(0, tree.size()));
      tree.append(leaf_hash(leaf));
    }
  }
  EXPECT_EQ(tree.root(), head.root);
  // A writer goes on from the files of another.
  EXPECT_EQ(TileWriter(dir, head.size).root(), head.root);
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (!entry.is_regular_file()) continue;
    const std::string text = slurp(entry.path());
    if (entry.path().extension() == ".tlog-proof") {
      const ProofFile proof = parse_proof(text);
      EXPECT_EQ(verify_proof(proof, reader(0, proof.index), key, {}, 0), head);
      EXPECT_EQ(proof.hashes, inclusion_proof(proof.index, head.size, std::ref(reader)));
      ++proofs;
    }
    if (entry.path().extension() == ".request") {
      const int64_t old_size = std::stoll(entry.path().stem());
      const Checkpoint old_head{key.name(), old_size, tree_root(old_size, std::ref(reader))};
      const fs::path state = dir / ("witness-" + std::to_string(old_size));
      Witness once(SignerKey::generate("w", KeyType::kCosignature), state, {key});
      const std::string old_text = checkpoint_text(old_head);
      EXPECT_EQ(once.add_checkpoint(witness_request(0, {}, format_note({old_text, {signer.sign(old_text)}}))).status,
                200);
      EXPECT_EQ(once.add_checkpoint(text).status, 200);
      ++proofs;
    }
  }
}

TEST(LedgerSumdb, DISABLED_Writes) {
  const char *dir = std::getenv("LEDGER_SUMDB_WRITE"), *count = std::getenv("LEDGER_SUMDB_COUNT");
  ASSERT_TRUE(dir && count) << "tests/ledger_sumdb_test.py runs it";
  Rng rng(19);
  for (int i = 0; i < std::atoi(count); ++i) make_log(fs::path(dir) / std::to_string(i), rng);
}

TEST(LedgerSumdb, DISABLED_Reads) {
  const char *dir = std::getenv("LEDGER_SUMDB_READ"), *count = std::getenv("LEDGER_SUMDB_COUNT");
  ASSERT_TRUE(dir && count) << "tests/ledger_sumdb_test.py runs it";
  int proofs = 0;
  for (int i = 0; i < std::atoi(count); ++i) check_log(fs::path(dir) / std::to_string(i), proofs);
  EXPECT_GE(proofs, 2 * std::atoi(count));
}

}  // namespace
}  // namespace fieldprint::ledger
