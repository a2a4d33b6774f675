#include "ledger/note.h"

#include <gtest/gtest.h>

#include "support/files.h"

namespace fieldprint::ledger {
namespace {

// From the documentation of golang.org/x/mod/sumdb/note.
constexpr const char* kVkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr const char* kSkey = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
constexpr const char* kText =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
constexpr const char* kLine =
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

TEST(Note, ExampleOfTheSpecification) {  // c2sp.org/signed-note
  const auto key = VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
  const Note note = parse_note(
      "This is an example message.\n\n\u2014 example.com/foo "
      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n");
  EXPECT_EQ(note.text, "This is an example message.\n");
  EXPECT_EQ(verify_note(note, {&key, 1}), std::vector<size_t>{0});
}

TEST(Note, KeysAndSignaturesAreThoseOfGo) {
  const SignerKey signer = SignerKey::parse(kSkey);
  EXPECT_EQ(signer.verifier().vkey(), kVkey);
  EXPECT_EQ(signer.skey(), kSkey);
  EXPECT_EQ(VerifierKey::parse(kVkey), signer.verifier());
  EXPECT_EQ(format_note({kText, {signer.sign(kText)}}), std::string(kText) + "\n" + kLine);
}

TEST(Note, SeveralKeysSign) {
  const SignerKey a = SignerKey::generate("a.example/1", KeyType::kEd25519),
                  b = SignerKey::generate("b", KeyType::kEd25519), c = SignerKey::generate("c", KeyType::kEd25519);
  const std::string text = "first\n\nafter an empty line: \u00e8\n";
  const Note note = parse_note(format_note({text, {a.sign(text), b.sign(text), a.sign(text)}}));
  const VerifierKey known[] = {c.verifier(), b.verifier(), a.verifier()};
  EXPECT_EQ(verify_note(note, known), (std::vector<size_t>{2, 1}));
  EXPECT_EQ(refusal([&] { verify_note(note, {known, 1}); }), "no known key has signed the note");
}

TEST(Note, OneWrongSignatureOfAKnownKeyRefusesAll) {
  const SignerKey a = SignerKey::generate("a", KeyType::kEd25519), b = SignerKey::generate("b", KeyType::kEd25519);
  Note note{"text\n", {a.sign("text\n"), b.sign("other\n")}};
  const VerifierKey known[] = {a.verifier(), b.verifier()};
  EXPECT_EQ(refusal([&] { verify_note(note, known); }), "the signature of b is wrong");
  EXPECT_EQ(verify_note(note, {known, 1}).size(), 1u);  // b is not known: ignored
  note.text = "texT\n";
  EXPECT_EQ(refusal([&] { verify_note(note, {known, 1}); }), "the signature of a is wrong");
}

TEST(Note, CosignaturesHoldTheirTime) {
  const SignerKey witness = SignerKey::generate("witness.example/w1", KeyType::kCosignature);
  const std::string text = "example.com/log\n3\nabc=\n";
  NoteSignature signature = witness.sign(text, 1679315147);
  EXPECT_EQ(cosignature_time(signature), 1679315147u);
  EXPECT_TRUE(witness.verifier().verify(text, signature));
  EXPECT_FALSE(witness.verifier().verify("example.com/log\n4\nabc=\n", signature));
  signature.bytes[7] ^= std::byte{1};
  EXPECT_FALSE(witness.verifier().verify(text, signature));
  EXPECT_NE(VerifierKey(witness.verifier().name(), KeyType::kEd25519, witness.verifier().key()).id(),
            witness.verifier().id());
  EXPECT_EQ(SignerKey::parse(witness.skey()).verifier(), witness.verifier());
}

// The cosignature of the specification's example; its witness key is not published, so that only the form is checked.
TEST(Note, ExampleOfACosignature) {
  const auto signatures = parse_signatures(
      "\u2014 witness.example.com/w1 "
      "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n");
  EXPECT_EQ(cosignature_time(signatures.at(0)), 1679315147u);
}

TEST(Note, RefusesWhatIsMalformed) {
  const std::string text = kText, line = kLine;
  const std::string broken[] = {"",
                                "\n",
                                text,
                                text + "\n",
                                text + line,
                                text + "\n" + line.substr(0, line.size() - 1),
                                text + "\n" + line + "\n",
                                text + "\n" + line.substr(1),
                                text + "\n\u2014 a\n",
                                text + "\n\u2014 a AAAAAA==\n",
                                text + "\n\u2014  x08go/ZJ\n",
                                text + "\n\u2014 a+b x08go/ZJ\n",
                                text + "\n\u2014 a x08go/Z\n",
                                text + "\n\u2014 a x08go/ZJ \n",
                                text + "\n- a x08go/ZJ\n",
                                "\r" + text + "\n" + line,
                                "\xff" + text + "\n" + line,
                                "a\tb\n\n" + line,
                                std::string("a\0b\n\n", 5) + line,
                                text + "\n\u2014 a\u00a0b x08go/ZJ\n",
                                "no end of line",
                                text + "\n" + line + "\x01"};
  for (const std::string& note : broken) EXPECT_THROW(parse_note(note), Error) << note;
  std::string many = text + "\n";
  for (size_t i = 0; i <= kNoteSignaturesMax; ++i) many += line;
  EXPECT_EQ(refusal([&] { parse_note(many); }), "a note with too many signatures");
  EXPECT_NO_THROW(parse_note(many.substr(0, many.size() - line.size())));
  EXPECT_EQ(refusal([&] { parse_note(std::string(kNoteBytesMax + 1, 'a')); }), "a note that is too long");
  EXPECT_THROW(format_note({"no line break", {}}), Error);
  EXPECT_THROW(format_note({"a\n", {}}), Error);
}

TEST(Note, RefusesKeysThatAreNone) {
  const std::string vkey = kVkey;
  const std::string broken[] = {"",
                                "a",
                                "a+b",
                                "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                "PeterNeumann+c74f20a3+AhpA",
                                vkey + "+",
                                vkey + "AAAA",
                                vkey + "\n",
                                "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"};
  for (const std::string& key : broken) EXPECT_THROW(VerifierKey::parse(key), Error) << key;
  EXPECT_THROW(SignerKey::parse(vkey), Error);
  EXPECT_THROW(SignerKey::parse("PRIVATE+KEY+" + vkey), Error);  // the id is not that of the seed's public key
}

TEST(Note, NoBitOfASignedNoteIsFree) {
  const SignerKey signer = SignerKey::parse(kSkey);
  std::string note = std::string(kText) + "\n" + kLine;
  for (size_t bit = 0; bit < note.size() * 8; ++bit) {
    note[bit / 8] = static_cast<char>(note[bit / 8] ^ 1 << bit % 8);
    EXPECT_THROW(verify_note(parse_note(note), {&signer.verifier(), 1}), Error) << bit;
    note[bit / 8] = static_cast<char>(note[bit / 8] ^ 1 << bit % 8);
  }
}

// Signatures that other verifiers take: S + L, and keys of small order (Wycheproof's eddsa tests hold the like).
TEST(Note, RefusesSignaturesThatAreNotUnique) {
  const SignerKey signer = SignerKey::parse(kSkey);
  NoteSignature signature = signer.sign("x\n");
  constexpr uint8_t kOrder[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                  0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned>(signature.bytes[32 + i]) + kOrder[i];
    signature.bytes[32 + i] = static_cast<std::byte>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(signer.verifier().verify("x\n", signature));

  PublicKey identity{std::byte{1}};
  const VerifierKey small("small", KeyType::kEd25519, identity);
  NoteSignature forged{"small", small.id(), Bytes(64)};
  forged.bytes[0] = std::byte{1};  // R = identity, S = 0: right for any text where the key is the identity
  EXPECT_FALSE(small.verify("x\n", forged));
}

}  // namespace
}  // namespace fieldprint::ledger
