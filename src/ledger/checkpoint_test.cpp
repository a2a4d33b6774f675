// Checkpoints and proof files: both are texts around a note.
#include "ledger/checkpoint.h"

#include <gtest/gtest.h>

#include "ledger/merkle.h"
#include "ledger/proof_file.h"
#include "support/files.h"

namespace fieldprint::ledger {
namespace {

TEST(Checkpoint, ExampleOfTheSpecification) {  // c2sp.org/tlog-checkpoint
  const Checkpoint checkpoint =
      parse_checkpoint("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
  EXPECT_EQ(checkpoint.origin, "example.com/behind-the-sofa");
  EXPECT_EQ(checkpoint.size, 20852163);
  EXPECT_EQ(to_base64(checkpoint.root), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
  EXPECT_EQ(parse_checkpoint(checkpoint_text(checkpoint)), checkpoint);
}

TEST(Checkpoint, RefusesWhatIsMalformed) {
  const std::string root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  for (const std::string& text : {
           std::string(),
           std::string("a\n"),
           "a\n1\n" + root.substr(0, 44),
           "\n1\n" + root,
           "a\n01\n" + root,
           "a\n-1\n" + root,
           "a\n+1\n" + root,
           "a\n9223372036854775808\n" + root,
           "a\n1 \n" + root,
           "a\n1\n" + root + "extension\n",
           "a\n1\n" + root + "\n",
           "a b\n1\n" + root,
           std::string("a\n1\nAAAA\n"),
           "a\n0\n" + root,
           "a\n\n" + root,
       }) {
    EXPECT_THROW(parse_checkpoint(text), Error) << text;
  }
}

TEST(Checkpoint, TheKeysNameIsTheOrigin) {
  const SignerKey log = SignerKey::generate("log.example/a", KeyType::kEd25519);
  const std::string text = checkpoint_text({"log.example/b", 1, leaf_hash({})});
  EXPECT_EQ(refusal([&] {
              open_checkpoint({text, {log.sign(text)}}, log.verifier());
            }),
            "a checkpoint of log.example/b, signed by log.example/a");
}

class Proofs : public testing::Test {
 protected:
  Proofs() {
    for (int i = 0; i < 11; ++i) leaves.push_back(leaf_hash(view_of(std::to_string(i))));
    const HashReader read = [&](int level, int64_t index) {
      return subtree_root(std::span(leaves).subspan(static_cast<size_t>(index) << level, size_t{1} << level));
    };
    const std::string text = checkpoint_text({"log.example/a", 11, tree_root(11, read)});
    Note note{text, {log.sign(text), w1.sign(text, 1000), w2.sign(text, 1001)}};
    proof = {{}, 6, inclusion_proof(6, 11, read), format_note(note)};
  }
  SignerKey log = SignerKey::generate("log.example/a", KeyType::kEd25519);
  SignerKey w1 = SignerKey::generate("w1", KeyType::kCosignature),
            w2 = SignerKey::generate("w2", KeyType::kCosignature);
  std::vector<Digest> leaves;
  ProofFile proof;
};

TEST_F(Proofs, HoldForTheirEntryOnly) {
  const VerifierKey witnesses[] = {w1.verifier(), w2.verifier()};
  for (const bool extra : {false, true}) {
    if (extra) proof.extra = Bytes(20);
    const ProofFile read = parse_proof(format_proof(proof));
    EXPECT_EQ(read.extra, proof.extra);
    EXPECT_EQ(format_proof(read), format_proof(proof));
    EXPECT_EQ(verify_proof(read, leaves[6], log.verifier(), witnesses, 2).size, 11);
    EXPECT_THROW(verify_proof(read, leaves[5], log.verifier(), witnesses, 2), Error);
  }
}

TEST_F(Proofs, AskForAQuorum) {
  const SignerKey other = SignerKey::generate("w3", KeyType::kCosignature);
  const VerifierKey witnesses[] = {w1.verifier(), other.verifier()};
  EXPECT_NO_THROW(verify_proof(proof, leaves[6], log.verifier(), witnesses, 1));
  EXPECT_EQ(refusal([&] { verify_proof(proof, leaves[6], log.verifier(), witnesses, 2); }),
            "1 of 2 witnesses have cosigned, 2 have to");
  EXPECT_THROW(verify_proof(proof, leaves[6], other.verifier(), witnesses, 0), Error);
}

TEST_F(Proofs, NoBitIsFree) {
  const VerifierKey witnesses[] = {w1.verifier(), w2.verifier()};
  std::string text = format_proof(proof);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
    EXPECT_THROW(verify_proof(parse_proof(text), leaves[6], log.verifier(), witnesses, 2), Error) << bit;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
  }
}

TEST_F(Proofs, RefuseWhatIsMalformed) {
  const std::string note = proof.checkpoint, hash = to_base64(leaves[0]) + "\n", head = "c2sp.org/tlog-proof@v1\n";
  std::string many;
  for (int i = 0; i < 64; ++i) many += hash;
  for (const std::string& text : {std::string(), head, head + "index 0\n", head + "index 0\n\n", "index 0\n\n" + note,
                                  head + "index 00\n\n" + note, head + "index -1\n\n" + note, head + "\n" + note,
                                  head + "index 0\n" + many + "\n" + note, head + "index 0\nextra AAAA\n\n" + note,
                                  head + "extra AAA\nindex 0\n\n" + note, head + "index 0\n\n" + note + "x",
                                  head + "index 0\n\n\n" + note, head + "index 0\n" + hash + note}) {
    EXPECT_THROW(parse_proof(text), Error) << text;
  }
}

}  // namespace
}  // namespace fieldprint::ledger
