#include "memory/payload.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <memory>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

constexpr size_t kTagBytes = 16;
constexpr unsigned char kNonce[12] = {};

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* raw(ledger::ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

// The key that really seals: bound to the id, so that a place used again after a crash is still another key.
PayloadKey bound(const PayloadKey& key, const RecordId& id) {
  ledger::Bytes both(key.begin(), key.end());
  both.insert(both.end(), id.begin(), id.end());
  const PayloadKey out = ledger::tagged_digest("payload-key", both);
  sodium_memzero(both.data(), both.size());
  return out;
}

}  // namespace

ledger::Bytes encode_payload(const Payload& payload) {
  return ledger::encode(ledger::Map{{1, payload.text}, {2, payload.adapter}, {3, payload.uri}, {4, payload.title}});
}

Payload decode_payload(ledger::ByteView bytes) {
  const ledger::Value value = ledger::decode(bytes);
  const ledger::Map& map = value.map();
  return {map.at(1).text(), map.at(2).text(), map.at(3).text(), map.at(4).text()};
}

Salt draw_salt() {
  Salt salt;
  randombytes_buf(salt.data(), salt.size());
  return salt;
}

Digest payload_digest(const Salt& salt, ledger::ByteView encoded) {
  ledger::Bytes both(salt.begin(), salt.end());
  both.insert(both.end(), encoded.begin(), encoded.end());
  return ledger::tagged_digest("payload", both);
}

ledger::Bytes encode_sealed(const SealedPayload& sealed) {
  return ledger::encode(ledger::Array{sealed.place, ledger::ByteView(sealed.salt), sealed.ciphertext});
}

SealedPayload decode_sealed(ledger::ByteView bytes) {
  const ledger::Value value = ledger::decode(bytes);
  const ledger::Array& parts = value.array();
  if (parts.size() != 3) throw Error(ErrorKind::kBadInput, "a sealed payload has three parts");
  return {parts[0].integer(0, INT64_MAX), ledger::digest_of(parts[1].bytes()), parts[2].bytes()};
}

ledger::Bytes seal(const PayloadKey& key, const RecordId& id, ledger::ByteView plain) {
  PayloadKey secret = bound(key, id);
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  ledger::Bytes out(plain.size() + kTagBytes);
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  int length = 0;
  [[maybe_unused]] bool good = EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, raw(secret), kNonce) == 1;
  good = good && EVP_EncryptUpdate(cipher.get(), nullptr, &length, raw(id), static_cast<int>(id.size())) == 1;
  good = good && EVP_EncryptUpdate(cipher.get(), bytes, &length, raw(plain), static_cast<int>(plain.size())) == 1;
  good = good && EVP_EncryptFinal_ex(cipher.get(), bytes + length, &length) == 1;
  good = good && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, bytes + plain.size()) == 1;
  sodium_memzero(secret.data(), secret.size());
  if (!good) throw Error(ErrorKind::kIo, "OpenSSL cannot encrypt with AES-256-GCM");
  return out;
}

ledger::Bytes open_sealed(const PayloadKey& key, const RecordId& id, ledger::ByteView sealed) {
  if (sealed.size() < kTagBytes) throw Error(ErrorKind::kBadFile, "a payload is damaged");
  PayloadKey secret = bound(key, id);
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  const ledger::ByteView text = sealed.first(sealed.size() - kTagBytes);
  ledger::Bytes tag(sealed.end() - kTagBytes, sealed.end());
  ledger::Bytes out(text.size() + 1);  // never without memory to point to
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  int length = 0;
  bool good = EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, raw(secret), kNonce) == 1;
  good = good && EVP_DecryptUpdate(cipher.get(), nullptr, &length, raw(id), static_cast<int>(id.size())) == 1;
  good = good && EVP_DecryptUpdate(cipher.get(), bytes, &length, raw(text), static_cast<int>(text.size())) == 1;
  good = good && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1;
  good = good && EVP_DecryptFinal_ex(cipher.get(), bytes + length, &length) == 1;
  sodium_memzero(secret.data(), secret.size());
  if (!good) throw Error(ErrorKind::kBadFile, "a payload is damaged: it does not fit its key");
  out.resize(text.size());
  return out;
}

}  // namespace fieldprint::memory
