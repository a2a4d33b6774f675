#include "engine/session_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr std::string_view kMagic = "FPSESS03", kMagicBefore = "FPSESS02";
constexpr size_t kDigestBytes = 64;  // hex

// A page belongs to one span, so a file of many short spans asks for many pages that are nearly empty. With pages of
// kMaxMemoryPerByte tokens or fewer no file asks for more than this; kMemoryAlways is what nobody minds.
constexpr uint64_t kMaxMemoryPerByte = 64, kMemoryAlways = uint64_t{256} << 20;

// All numbers are little-endian, as every machine that this runs on.
struct Header {
  char magic[8];
  char fingerprint[64];
  char kv_type[8];  // padded with zeros
  uint64_t tokens;
  uint64_t token_bytes;  // K/V of one token
  uint64_t label_bytes;  // the labels, padded to a multiple of 4
  uint64_t recurrent_bytes;
};
static_assert(sizeof(Header) == 112);
constexpr size_t kHeaderBytesBefore = 104;  // in FPSESS02, which has no recurrent state

// Before the source's bytes.
struct LabelHeader {
  int32_t begin, kind, clearance, source_bytes;
};

std::string label_bytes(const Spans& spans, int tokens) {
  std::string bytes;
  for (const Spans::Span& span : spans.all()) {
    if (span.begin >= tokens) break;
    const LabelHeader header{span.begin, static_cast<int32_t>(span.label.kind), span.label.clearance,
                             static_cast<int32_t>(span.label.source.size())};
    bytes.append(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += span.label.source;
    bytes.resize((bytes.size() + 3) / 4 * 4);
  }
  return bytes;
}

// False where they are not what label_bytes() makes.
bool read_labels(std::span<const std::byte> bytes, int tokens, Spans* spans) {
  int last = -1;
  while (!bytes.empty()) {
    LabelHeader header;
    if (bytes.size() < sizeof(header)) return false;
    std::memcpy(&header, bytes.data(), sizeof(header));
    bytes = bytes.subspan(sizeof(header));
    const uint64_t padded = (static_cast<uint64_t>(static_cast<uint32_t>(header.source_bytes)) + 3) / 4 * 4;
    const bool first = last < 0;
    if (header.begin <= last || header.begin >= tokens || (first && header.begin != 0) || header.kind < 0 ||
        header.kind > static_cast<int32_t>(SpanKind::kAnchor) || header.clearance < 0 || header.source_bytes < 0 ||
        padded > bytes.size()) {
      return false;
    }
    last = header.begin;
    spans->set(header.begin,
               {static_cast<SpanKind>(header.kind),
                std::string(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(header.source_bytes)),
                header.clearance});
    bytes = bytes.subspan(padded);
  }
  return tokens == 0 || last >= 0;
}

// What fill() takes.
int64_t page_count(const Spans& spans, int tokens, int page_size) {
  int64_t pages = 0;
  for (const Spans::Span& span : spans.all()) {
    if (span.begin >= tokens) break;
    pages += (std::min(span.end, tokens) - 1) / page_size - span.begin / page_size + 1;
  }
  return pages;
}

}  // namespace

void save_session(const std::string& path, const std::string& fingerprint, std::span<const TokenId> tokens,
                  const SequenceState& state) {
  const StateFormat format = state.format(static_cast<int>(tokens.size()));
  AtomicFile file(path);
  Sha256 hash;
  const auto write = [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    file.write(bytes);
  };
  Header header = {};
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  std::memcpy(header.fingerprint, fingerprint.data(), sizeof(header.fingerprint));
  std::memcpy(header.kv_type, format.kv_type.data(), format.kv_type.size());
  header.tokens = tokens.size();
  header.token_bytes = static_cast<uint64_t>(format.token_bytes);
  const std::string labels = label_bytes(state.spans, static_cast<int>(tokens.size()));
  header.label_bytes = labels.size();
  header.recurrent_bytes = static_cast<uint64_t>(format.recurrent_bytes);
  write(std::as_bytes(std::span(&header, 1)));
  write(std::as_bytes(tokens));
  write(std::as_bytes(std::span(labels)));
  std::vector<std::byte> bytes(header.token_bytes);
  for (size_t i = 0; i < tokens.size(); ++i) {
    state.export_tokens(static_cast<int>(i), static_cast<int>(i) + 1, bytes);
    write(bytes);
  }
  if (header.recurrent_bytes > 0) {
    bytes.resize(header.recurrent_bytes);
    state.export_recurrent(bytes);
    write(bytes);
  }
  const std::string digest = hash.hex();
  file.write(std::as_bytes(std::span(digest)));
  file.commit();
}

SavedSession::SavedSession(const std::string& path, bool head_only) : path_(path), file_(path) {
  const auto bytes = file_.bytes();
  const auto refuse = [&](const char* why) { throw Error(ErrorKind::kBadFile, why, path_); };
  Header header = {};
  if (bytes.size() < kHeaderBytesBefore + kDigestBytes) refuse("this is no saved session: it is too short");
  std::memcpy(&header, bytes.data(), kHeaderBytesBefore);
  const std::string_view magic(header.magic, sizeof(header.magic));
  if (magic != kMagic && magic != kMagicBefore) refuse("this is no saved session");
  const size_t header_bytes = magic == kMagic ? sizeof(header) : kHeaderBytesBefore;
  if (bytes.size() < header_bytes + kDigestBytes) refuse("this is no saved session: it is too short");
  std::memcpy(&header, bytes.data(), header_bytes);
  uint64_t room = bytes.size() - header_bytes - kDigestBytes;
  if (header.label_bytes > room || header.label_bytes % 4 != 0) refuse("the saved session is damaged: its labels");
  room -= header.label_bytes;
  if (header.recurrent_bytes > room) refuse("the saved session is damaged: its recurrent state");
  room -= header.recurrent_bytes;
  // An empty session says what a token would take, too.
  const bool whole = header.tokens == 0
                         ? room == 0
                         : header.token_bytes <= room && room / header.tokens == sizeof(TokenId) + header.token_bytes &&
                               room % header.tokens == 0;
  if (!whole) {
    refuse("the saved session is cut short or damaged: its size is not what it says");
  }
  const auto content = bytes.first(bytes.size() - kDigestBytes);
  if (!head_only && std::memcmp(sha256_hex(content).data(), content.data() + content.size(), kDigestBytes) != 0) {
    refuse("the saved session is damaged: its hash is not what it says");
  }
  fingerprint_.assign(header.fingerprint, sizeof(header.fingerprint));
  kv_type_.assign(header.kv_type, strnlen(header.kv_type, sizeof(header.kv_type)));
  token_bytes_ = header.token_bytes;
  auto rest = content.subspan(header_bytes);
  const auto take = [&rest](uint64_t count) {
    const auto part = rest.first(count);
    rest = rest.subspan(count);
    return part;
  };
  tokens_.resize(header.tokens);
  const auto ids = take(header.tokens * sizeof(TokenId));
  std::copy(ids.begin(), ids.end(), reinterpret_cast<std::byte*>(tokens_.data()));
  if (!read_labels(take(header.label_bytes), static_cast<int>(header.tokens), &spans_))
    refuse("the saved session is damaged: its labels");
  kv_ = take(header.tokens * header.token_bytes);
  recurrent_ = rest;
}

void SavedSession::check(const std::string& fingerprint, const StateFormat& format) const {
  if (fingerprint != fingerprint_) {
    throw Error(ErrorKind::kBadInput,
                "the session was saved with another model, other adapters or another number of experts", path_);
  }
  if (kv_type_ != format.kv_type) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session was saved with keys and values as {}, this one keeps them as {}", kv_type_,
                            format.kv_type),
                path_, "give --kv-type " + kv_type_);
  }
  if (token_bytes_ != static_cast<uint64_t>(format.token_bytes)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session has {} bytes of keys and values a token, this version keeps {}", token_bytes_,
                            format.token_bytes),
                path_);
  }
  if (recurrent_.size() != static_cast<uint64_t>(format.recurrent_bytes)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session has {} bytes of recurrent state, this version keeps {}", recurrent_.size(),
                            format.recurrent_bytes),
                path_);
  }
  const int64_t pages = page_count(spans_, static_cast<int>(tokens_.size()), format.page_size);
  const auto allowed = static_cast<int64_t>(kMaxMemoryPerByte * file_.bytes().size() + kMemoryAlways);
  if (pages > allowed / std::max<int64_t>(format.page_bytes, 1)) {
    throw Error(ErrorKind::kLimit,
                fmt::format("the session's {} tokens would take {} pages of {} tokens, too much memory for a file of "
                            "{} bytes: a page holds tokens of one label only",
                            tokens_.size(), pages, format.page_size, file_.bytes().size()),
                path_, fmt::format("a smaller --page-size, such as {}", kMaxMemoryPerByte));
  }
}

int SavedSession::fill(SequenceState& state, std::mutex& steps) const {
  constexpr int kTokensAtOnce = 64;
  const int tokens = static_cast<int>(tokens_.size());
  state.spans = spans_;
  for (int i = 0; i < tokens; i += kTokensAtOnce) {
    const int end = std::min(tokens, i + kTokensAtOnce);
    const std::lock_guard lock(steps);
    state.import_tokens(
        i, end, kv_.subspan(static_cast<size_t>(i) * token_bytes_, static_cast<size_t>(end - i) * token_bytes_));
  }
  const std::lock_guard lock(steps);
  if (recurrent_.empty()) return state.truncate(tokens);
  state.import_recurrent(tokens, recurrent_);
  return 0;
}

}  // namespace fieldprint
