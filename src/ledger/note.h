// Signed notes (c2sp.org/signed-note@v1.0.0): a text and lines of signatures under it, with Ed25519 keys as their only
// kind of key. Keys are written as golang.org/x/mod/sumdb/note writes them. The one verifier of signatures in this
// program is libsodium's crypto_sign_verify_detached, which refuses keys of small order and signatures that are not
// reduced (RFC 8032): verifiers that differ would split who trusts what.
//
// All functions may be called by any thread. Refusals are Error kBadInput.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/bytes.h"

namespace fieldprint::ledger {

inline constexpr size_t kNoteBytesMax = 1 << 20;
inline constexpr size_t kNoteSignaturesMax = 100;

struct NoteSignature {
  std::string name;  // of the key
  uint32_t key_id;
  Bytes bytes;  // what follows the id: 64 of an Ed25519 signature, 8 of the time before them in a cosignature
  bool operator==(const NoteSignature&) const = default;
};

struct Note {
  std::string text;  // with its last line break
  std::vector<NoteSignature> signatures;
  bool operator==(const Note&) const = default;
};

// Strict: what format_note() would not write is refused. Says nothing of whether signatures are right.
Note parse_note(std::string_view note);
// Refuses a text, names or counts that parse_note() would refuse.
std::string format_note(const Note& note);
// "— NAME BASE64\n", as it stands in a note; and a run of such lines, as a witness answers with.
std::string format_signature(const NoteSignature& signature);
std::vector<NoteSignature> parse_signatures(std::string_view lines);

// Not empty, UTF-8, without Unicode spaces, control characters and '+'.
bool is_key_name(std::string_view name);

enum class KeyType : uint8_t {
  kEd25519 = 0x01,      // signs the text
  kCosignature = 0x04,  // signs the time with the text of a checkpoint (c2sp.org/tlog-cosignature, Ed25519)
};

using PublicKey = std::array<std::byte, 32>;

// What verifies: a vkey, "NAME+ID+BASE64(type, public key)".
class VerifierKey {
 public:
  VerifierKey(std::string name, KeyType type, const PublicKey& key);
  static VerifierKey parse(std::string_view vkey);
  std::string vkey() const;

  const std::string& name() const { return name_; }
  KeyType type() const { return type_; }
  const PublicKey& key() const { return key_; }
  uint32_t id() const { return id_; }  // SHA-256(name, 0x0A, type, key), its first four bytes
  bool made(const NoteSignature& signature) const { return signature.key_id == id_ && signature.name == name_; }
  // Whether the signature is this key's, and right for the text.
  bool verify(std::string_view text, const NoteSignature& signature) const;
  bool operator==(const VerifierKey&) const = default;

 private:
  std::string name_;
  KeyType type_;
  PublicKey key_;
  uint32_t id_;
};

// What signs: an skey, "PRIVATE+KEY+NAME+ID+BASE64(type, seed of 32 bytes)". Wiped from memory at its end; text made by
// skey() is the caller's to wipe.
class SignerKey {
 public:
  static SignerKey generate(std::string name, KeyType type);
  static SignerKey parse(std::string_view skey);
  SignerKey(const SignerKey&) = default;
  SignerKey& operator=(const SignerKey&) = default;
  ~SignerKey();

  std::string skey() const;
  const VerifierKey& verifier() const { return verifier_; }
  // `time`: seconds since 1970, for a cosignature only.
  NoteSignature sign(std::string_view text, uint64_t time = 0) const;

 private:
  SignerKey(std::string name, KeyType type, std::span<const std::byte, 32> seed);
  std::array<std::byte, 64> secret_{};  // libsodium's: seed, public key
  VerifierKey verifier_;
};

// The seconds that stand in a cosignature. Refuses what is none.
uint64_t cosignature_time(const NoteSignature& cosignature);

// Which of the keys have signed the note: their places in `known`, each once. Signatures of other keys are ignored.
// Refused where none of the keys has signed, and where a signature that claims to be of one of them is wrong. `known`
// must not hold a key twice.
std::vector<size_t> verify_note(const Note& note, std::span<const VerifierKey> known);

}  // namespace fieldprint::ledger
