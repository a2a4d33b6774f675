#include "engine/session_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr std::string_view kMagic = "FPSESS02";
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
};
static_assert(sizeof(Header) == 104);

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
                  const Spans& spans, const KvSequence& kv) {
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
  const std::string labels = label_bytes(spans, static_cast<int>(tokens.size()));
  header.label_bytes = labels.size();
  write(std::as_bytes(std::span(&header, 1)));
  write(std::as_bytes(tokens));
  write(std::as_bytes(std::span(labels)));
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
  uint64_t room = bytes.size() - sizeof(header) - kDigestBytes;
  if (header.label_bytes > room || header.label_bytes % 4 != 0) refuse("the saved session is damaged: its labels");
  room -= header.label_bytes;
  // An empty session says what a token would take, too.
  const bool whole = header.tokens == 0
                         ? room == 0
                         : header.token_bytes <= room && room / header.tokens == sizeof(TokenId) + header.token_bytes &&
                               room % header.tokens == 0;
  if (!whole) {
    refuse("the saved session is cut short or damaged: its size is not what it says");
  }
  const auto content = bytes.first(bytes.size() - kDigestBytes);
  if (std::memcmp(sha256_hex(content).data(), content.data() + content.size(), kDigestBytes) != 0) {
    refuse("the saved session is damaged: its hash is not what it says");
  }
  fingerprint_.assign(header.fingerprint, sizeof(header.fingerprint));
  kv_type_.assign(header.kv_type, strnlen(header.kv_type, sizeof(header.kv_type)));
  tokens_.resize(header.tokens);
  std::copy_n(content.data() + sizeof(header), header.tokens * sizeof(TokenId),
              reinterpret_cast<std::byte*>(tokens_.data()));
  token_bytes_ = header.token_bytes;
  const auto rest = content.subspan(sizeof(header) + header.tokens * sizeof(TokenId));
  if (!read_labels(rest.first(header.label_bytes), static_cast<int>(header.tokens), &spans_))
    refuse("the saved session is damaged: its labels");
  kv_ = rest.subspan(header.label_bytes);
}

void SavedSession::check(const std::string& fingerprint, const KvLayout& layout) const {
  if (fingerprint != fingerprint_) {
    throw Error(ErrorKind::kBadInput, "the session was saved with another model, or another number of experts", path_);
  }
  if (kv_type_ != kv_type_name(layout.type())) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session was saved with keys and values as {}, this one keeps them as {}", kv_type_,
                            kv_type_name(layout.type())),
                path_, "give --kv-type " + kv_type_);
  }
  if (token_bytes_ != static_cast<uint64_t>(layout.bytes_per_token())) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session has {} bytes of keys and values a token, this version keeps {}", token_bytes_,
                            layout.bytes_per_token()),
                path_);
  }
  const int64_t pages = page_count(spans_, static_cast<int>(tokens_.size()), layout.page_size());
  const auto allowed = static_cast<int64_t>(kMaxMemoryPerByte * file_.bytes().size() + kMemoryAlways);
  if (pages > allowed / std::max<int64_t>(layout.page_bytes(), 1)) {
    throw Error(ErrorKind::kLimit,
                fmt::format("the session's {} tokens would take {} pages of {} tokens, too much memory for a file of "
                            "{} bytes: a page holds tokens of one label only",
                            tokens_.size(), pages, layout.page_size(), file_.bytes().size()),
                path_, fmt::format("a smaller --page-size, such as {}", kMaxMemoryPerByte));
  }
}

void SavedSession::fill(KvSequence& kv) const {
  for (const Spans::Span& span : spans_.all())
    kv.reserve(span.begin, std::min(span.end, static_cast<int>(tokens_.size())), span.begin);
  for (size_t i = 0; i < tokens_.size(); ++i)
    kv.copy_in(static_cast<int>(i), kv_.subspan(i * token_bytes_, token_bytes_));
}

}  // namespace fieldprint
