#include "ledger/note.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdlib>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "ledger/hash.h"

namespace fieldprint::ledger {
namespace {

constexpr std::string_view kDash = "\xE2\x80\x94 ";  // em dash, space
constexpr std::string_view kPrivate = "PRIVATE+KEY+";
constexpr size_t kTimeBytes = 8;

[[noreturn]] void refuse(std::string what) { throw Error(ErrorKind::kBadInput, std::move(what)); }

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

void start_sodium() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();  // no random numbers: nothing may be signed
}

void require_text(std::string_view text) {
  if (text.empty() || text.back() != '\n') refuse("a note's text has to end with a line break");
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; };
  if (!is_utf8(text) || std::ranges::any_of(text, control)) refuse("a note has to be UTF-8 without control characters");
}

// White_Space=yes in Unicode.
bool is_space(uint32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

uint64_t big_endian(ByteView bytes) {
  uint64_t number = 0;
  for (const std::byte byte : bytes) number = number << 8 | static_cast<uint64_t>(byte);
  return number;
}

void append_big_endian(Bytes& out, uint64_t number, int size) {
  while (size-- > 0) out.push_back(static_cast<std::byte>(number >> (8 * size)));
}

uint32_t key_id(std::string_view name, KeyType type, const PublicKey& key) {
  const auto byte = static_cast<std::byte>(type);
  return static_cast<uint32_t>(
      big_endian(ByteView(sha256({view_of(name), view_of("\n"), ByteView(&byte, 1), key})).first(4)));
}

// What a cosigner signs: c2sp.org/tlog-cosignature, "Ed25519 signed message".
std::string cosigned(std::string_view text, uint64_t time) {
  return fmt::format("cosignature/v1\ntime {}\n{}", time, text);
}

// "NAME+ID+BASE64(type, 32 bytes)", which vkeys and skeys have in common.
struct KeyText {
  std::string name;
  uint32_t id;
  KeyType type;
  std::array<std::byte, 32> material;
};

KeyText parse_key(std::string_view text, const char* what) {
  const size_t first = text.find('+'), second = first == text.npos ? first : text.find('+', first + 1);
  if (second == text.npos) refuse(fmt::format("{} has to be NAME+ID+KEY", what));
  KeyText key;
  key.name = text.substr(0, first);
  const Bytes id = from_hex(text.substr(first + 1, second - first - 1));
  Bytes bytes = from_base64(text.substr(second + 1));
  if (!is_key_name(key.name) || id.size() != 4) refuse(fmt::format("{} has a name or an id that cannot be", what));
  if (bytes.size() != 33) refuse(fmt::format("{} is not of Ed25519", what));
  key.id = static_cast<uint32_t>(big_endian(id));
  key.type = static_cast<KeyType>(bytes[0]);
  if (key.type != KeyType::kEd25519 && key.type != KeyType::kCosignature) {
    throw Error(ErrorKind::kUnsupported, fmt::format("{} is of a type that is not known here", what));
  }
  std::copy(bytes.begin() + 1, bytes.end(), key.material.begin());
  sodium_memzero(bytes.data(), bytes.size());
  return key;
}

std::string key_text(const VerifierKey& key, std::span<const std::byte> material) {
  Bytes bytes{static_cast<std::byte>(key.type())};
  bytes.insert(bytes.end(), material.begin(), material.end());
  std::string text = fmt::format("{}+{:08x}+{}", key.name(), key.id(), to_base64(bytes));
  sodium_memzero(bytes.data(), bytes.size());
  return text;
}

NoteSignature parse_signature(std::string_view line) {
  const size_t space = line.find(' ', kDash.size());
  if (!line.starts_with(kDash) || space == line.npos) refuse("a note's signature line has to be: \u2014 NAME BASE64");
  NoteSignature signature;
  signature.name = line.substr(kDash.size(), space - kDash.size());
  const Bytes bytes = from_base64(line.substr(space + 1));
  if (!is_key_name(signature.name) || bytes.size() < 5)
    refuse("a note's signature line names no key or holds no signature");
  signature.key_id = static_cast<uint32_t>(big_endian(ByteView(bytes).first(4)));
  signature.bytes.assign(bytes.begin() + 4, bytes.end());
  return signature;
}

}  // namespace

bool is_key_name(std::string_view name) {
  if (name.empty()) return false;
  for (size_t at = 0; at < name.size();) {
    const Utf8Char c = utf8_at(name, at);
    if (c.broken() || c.code < 0x20 || c.code == '+' || is_space(c.code)) return false;
    at += c.length;
  }
  return true;
}

std::vector<NoteSignature> parse_signatures(std::string_view lines) {
  if (lines.empty() || lines.back() != '\n') refuse("a note has to end with a line of a signature");
  std::vector<NoteSignature> signatures;
  while (!lines.empty()) {
    if (signatures.size() == kNoteSignaturesMax) refuse("a note with too many signatures");
    const size_t end = lines.find('\n');
    signatures.push_back(parse_signature(lines.substr(0, end)));
    lines.remove_prefix(end + 1);
  }
  return signatures;
}

Note parse_note(std::string_view note) {
  if (note.size() > kNoteBytesMax) refuse("a note that is too long");
  const size_t blank = note.rfind("\n\n");
  if (blank == note.npos) refuse("a note without a blank line before its signatures");
  const std::string_view text = note.substr(0, blank + 1);
  require_text(text);
  return {std::string(text), parse_signatures(note.substr(blank + 2))};
}

std::string format_signature(const NoteSignature& signature) {
  if (!is_key_name(signature.name) || signature.bytes.empty())
    refuse("a signature without a key's name or without bytes");
  Bytes bytes;
  append_big_endian(bytes, signature.key_id, 4);
  bytes.insert(bytes.end(), signature.bytes.begin(), signature.bytes.end());
  return fmt::format("{}{} {}\n", kDash, signature.name, to_base64(bytes));
}

std::string format_note(const Note& note) {
  require_text(note.text);
  if (note.signatures.empty() || note.signatures.size() > kNoteSignaturesMax) {
    refuse(fmt::format("a note has to have 1 to {} signatures", kNoteSignaturesMax));
  }
  std::string out = note.text + "\n";
  for (const NoteSignature& signature : note.signatures) out += format_signature(signature);
  if (out.size() > kNoteBytesMax) refuse("a note that is too long");
  return out;
}

VerifierKey::VerifierKey(std::string name, KeyType type, const PublicKey& key)
    : name_(std::move(name)), type_(type), key_(key), id_(key_id(name_, type, key)) {
  if (!is_key_name(name_)) refuse("a key's name may hold no spaces, no control characters and no '+'");
}

VerifierKey VerifierKey::parse(std::string_view vkey) {
  const KeyText text = parse_key(vkey, "a verifier key");
  VerifierKey key(text.name, text.type, text.material);
  if (key.id() != text.id) refuse("a verifier key whose id is not that of its name and bytes");
  return key;
}

std::string VerifierKey::vkey() const { return key_text(*this, key_); }

bool VerifierKey::verify(std::string_view text, const NoteSignature& signature) const {
  if (!made(signature)) return false;
  ByteView bytes = signature.bytes;
  std::string message;
  if (type_ == KeyType::kCosignature) {
    if (bytes.size() != kTimeBytes + crypto_sign_BYTES) return false;
    const uint64_t time = big_endian(bytes.first(kTimeBytes));
    if (time >> 63 != 0) return false;
    message = cosigned(text, time);
    text = message;
    bytes = bytes.subspan(kTimeBytes);
  }
  return bytes.size() == crypto_sign_BYTES &&
         crypto_sign_verify_detached(raw(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                     text.size(), raw(key_.data())) == 0;
}

SignerKey::SignerKey(std::string name, KeyType type, std::span<const std::byte, 32> seed)
    : verifier_([&] {
        start_sodium();
        PublicKey key;
        crypto_sign_seed_keypair(raw(key.data()), raw(secret_.data()), raw(seed.data()));
        return VerifierKey(std::move(name), type, key);
      }()) {}

SignerKey::~SignerKey() { sodium_memzero(secret_.data(), secret_.size()); }

SignerKey SignerKey::generate(std::string name, KeyType type) {
  start_sodium();
  std::array<std::byte, 32> seed;
  randombytes_buf(seed.data(), seed.size());
  SignerKey key(std::move(name), type, seed);
  sodium_memzero(seed.data(), seed.size());
  return key;
}

SignerKey SignerKey::parse(std::string_view skey) {
  if (!skey.starts_with(kPrivate)) refuse("a signer key has to begin with " + std::string(kPrivate));
  KeyText text = parse_key(skey.substr(kPrivate.size()), "a signer key");
  SignerKey key(text.name, text.type, text.material);
  sodium_memzero(text.material.data(), text.material.size());
  if (key.verifier().id() != text.id) refuse("a signer key whose id is not that of its name and bytes");
  return key;
}

std::string SignerKey::skey() const {
  return std::string(kPrivate) + key_text(verifier_, std::span(secret_).first(32));
}

NoteSignature SignerKey::sign(std::string_view text, uint64_t time) const {
  require_text(text);
  NoteSignature signature{verifier_.name(), verifier_.id(), {}};
  std::string message(text);
  if (verifier_.type() == KeyType::kCosignature) {
    assert(time >> 63 == 0);
    append_big_endian(signature.bytes, time, kTimeBytes);
    message = cosigned(text, time);
  }
  const size_t at = signature.bytes.size();
  signature.bytes.resize(at + crypto_sign_BYTES);
  crypto_sign_detached(raw(signature.bytes.data() + at), nullptr,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size(), raw(secret_.data()));
  return signature;
}

uint64_t cosignature_time(const NoteSignature& cosignature) {
  if (cosignature.bytes.size() != kTimeBytes + crypto_sign_BYTES) refuse("not a cosignature of Ed25519");
  return big_endian(ByteView(cosignature.bytes).first(kTimeBytes));
}

std::vector<size_t> verify_note(const Note& note, std::span<const VerifierKey> known) {
  std::vector<size_t> signers;
  for (const NoteSignature& signature : note.signatures) {
    const auto key = std::ranges::find_if(known, [&](const VerifierKey& k) { return k.made(signature); });
    if (key == known.end()) continue;
    if (!key->verify(note.text, signature)) refuse(fmt::format("the signature of {} is wrong", key->name()));
    const auto place = static_cast<size_t>(key - known.begin());
    if (std::ranges::find(signers, place) == signers.end()) signers.push_back(place);
  }
  if (signers.empty()) refuse("no known key has signed the note");
  return signers;
}

}  // namespace fieldprint::ledger
