#include "engine/session_file.h"

#include <fmt/format.h>

#include <cstring>

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr std::string_view kMagic = "FPSESS01";
constexpr size_t kDigestBytes = 64;  // hex

// All numbers are little-endian, as every machine that this runs on.
struct Header {
  char magic[8];
  char fingerprint[64];
  char kv_type[8];  // padded with zeros
  uint64_t tokens;
  uint64_t token_bytes;  // K/V of one token
};
static_assert(sizeof(Header) == 96);

}  // namespace

void save_session(const std::string& path, const std::string& fingerprint, std::span<const TokenId> tokens,
                  const KvSequence& kv) {
  AtomicFile file(path);
  Sha256 hash;
  const auto write = [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    file.write(bytes);
  };
  Header header = {};
  const std::string_view type = kv_type_name(kv.layout().type());
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  std::memcpy(header.fingerprint, fingerprint.data(), sizeof(header.fingerprint));
  std::memcpy(header.kv_type, type.data(), type.size());
  header.tokens = tokens.size();
  header.token_bytes = static_cast<uint64_t>(kv.layout().bytes_per_token());
  write(std::as_bytes(std::span(&header, 1)));
  write(std::as_bytes(tokens));
  std::vector<std::byte> one(header.token_bytes);
  for (size_t i = 0; i < tokens.size(); ++i) {
    kv.copy_out(static_cast<int>(i), one);
    write(one);
  }
  const std::string digest = hash.hex();
  file.write(std::as_bytes(std::span(digest)));
  file.commit();
}

SavedSession::SavedSession(const std::string& path) : path_(path), file_(path) {
  const auto bytes = file_.bytes();
  const auto refuse = [&](const char* why) { throw Error(ErrorKind::kBadFile, why, path_); };
  Header header;
  if (bytes.size() < sizeof(header) + kDigestBytes) refuse("this is no saved session: it is too short");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::string_view(header.magic, sizeof(header.magic)) != kMagic) refuse("this is no saved session");
  const uint64_t room = bytes.size() - sizeof(header) - kDigestBytes;
  const uint64_t each = sizeof(TokenId) + header.token_bytes;
  if (header.token_bytes > room || room / each != header.tokens || room % each != 0) {
    refuse("the saved session is cut short or damaged: its size is not what it says");
  }
  const auto content = bytes.first(bytes.size() - kDigestBytes);
  if (std::memcmp(sha256_hex(content).data(), content.data() + content.size(), kDigestBytes) != 0) {
    refuse("the saved session is damaged: its hash is not what it says");
  }
  fingerprint_.assign(header.fingerprint, sizeof(header.fingerprint));
  kv_type_.assign(header.kv_type, strnlen(header.kv_type, sizeof(header.kv_type)));
  tokens_.resize(header.tokens);
  std::memcpy(tokens_.data(), content.data() + sizeof(header), header.tokens * sizeof(TokenId));
  token_bytes_ = header.token_bytes;
  kv_ = content.subspan(sizeof(header) + header.tokens * sizeof(TokenId));
}

void SavedSession::check(const std::string& fingerprint, const KvLayout& layout) const {
  if (fingerprint != fingerprint_) {
    throw Error(ErrorKind::kBadInput, "the session was saved with another model, or another number of experts", path_);
  }
  if (kv_type_ != kv_type_name(layout.type()) || token_bytes_ != static_cast<uint64_t>(layout.bytes_per_token())) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session was saved with keys and values as {}, this one keeps them as {}", kv_type_,
                            kv_type_name(layout.type())),
                path_, "give --kv-type " + kv_type_);
  }
}

void SavedSession::fill(KvSequence& kv) const {
  kv.reserve(0, static_cast<int>(tokens_.size()));
  for (size_t i = 0; i < tokens_.size(); ++i)
    kv.copy_in(static_cast<int>(i), kv_.subspan(i * token_bytes_, token_bytes_));
}

}  // namespace fieldprint
