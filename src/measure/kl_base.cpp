#include "measure/kl_base.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/likelihood.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr char kMagic[8] = {'F', 'P', 'K', 'L', 'B', 'A', 'S', 'E'};
constexpr uint32_t kVersion = 1;
constexpr int kHashBytes = 32;
constexpr float kSteps = 65535;

struct FileHeader {
  char magic[8];
  uint32_t version, vocabulary, context, stride, chunks, zero;
  uint64_t positions;
  uint8_t model[kHashBytes], tokens[kHashBytes], text[kHashBytes];
};
static_assert(sizeof(FileHeader) == 136);

// Before the values of a position. A value q stands for the log-probability top_log - range * (q / 65535)^2: the likely
// tokens, which a divergence is made of, have the finest steps.
struct RowHeader {
  float top_log, range, target_log;
  uint32_t top;
};
static_assert(sizeof(RowHeader) == 16);

uint64_t row_bytes(uint32_t vocabulary) { return (sizeof(RowHeader) + uint64_t{vocabulary} * 2 + 7) / 8 * 8; }

void put_hash(const std::string& hex, uint8_t* bytes) {
  assert(hex.size() == 2 * kHashBytes);
  for (int i = 0; i < kHashBytes; ++i)
    bytes[i] = static_cast<uint8_t>(std::stoi(hex.substr(static_cast<size_t>(i) * 2, 2), nullptr, 16));
}

std::string hash_hex(const uint8_t* bytes) { return fmt::format("{:02x}", fmt::join(bytes, bytes + kHashBytes, "")); }

}  // namespace

KlBaseWriter::KlBaseWriter(const std::string& path, const KlHeader& header)
    : file_(path), row_(row_bytes(header.vocabulary)) {
  FileHeader bytes = {};
  std::memcpy(bytes.magic, kMagic, sizeof(kMagic));
  bytes.version = kVersion;
  bytes.vocabulary = header.vocabulary;
  bytes.context = header.context;
  bytes.stride = header.stride;
  bytes.chunks = header.chunks;
  bytes.positions = header.positions;
  put_hash(header.model, bytes.model);
  put_hash(header.tokens, bytes.tokens);
  put_hash(header.text, bytes.text);
  file_.write(std::as_bytes(std::span(&bytes, 1)));
}

void KlBaseWriter::add(std::span<const float> logits, TokenId target) {
  float low = logits[0];
  size_t top = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i]))
      throw Error(ErrorKind::kBadInput, fmt::format("the logit of token {} is not finite", i));
    if (logits[i] > logits[top]) top = i;
    low = std::min(low, logits[i]);
  }
  const double sum = log_sum_exp(logits);
  const float high = logits[top], range = high - low;
  const RowHeader header{static_cast<float>(static_cast<double>(high) - sum), range,
                         static_cast<float>(static_cast<double>(logits[static_cast<size_t>(target)]) - sum),
                         static_cast<uint32_t>(top)};
  std::memcpy(row_.data(), &header, sizeof(header));
  auto* values = reinterpret_cast<uint16_t*>(row_.data() + sizeof(header));
  const float scale = range > 0 ? 1 / range : 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    values[i] = static_cast<uint16_t>(std::lrint(std::sqrt(std::min((high - logits[i]) * scale, 1.0f)) * kSteps));
  }
  file_.write(row_);
}

void KlBaseWriter::commit() { file_.commit(); }

KlBase::KlBase(const std::string& path) : path_(path), file_(path) {
  const auto refuse = [&](const std::string& why) { throw Error(ErrorKind::kBadFile, why, path); };
  const auto bytes = file_.bytes();
  FileHeader header;
  if (bytes.size() < sizeof(header) || std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0) {
    throw Error(ErrorKind::kBadFile, "is no file of probabilities", path,
                "`fieldprint perplexity --kl-base` writes one");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.version != kVersion)
    refuse(fmt::format("is of version {}, this program reads {}", header.version, kVersion));
  const uint64_t row = row_bytes(header.vocabulary), rest = bytes.size() - sizeof(header);
  if (header.vocabulary == 0 || header.context < 2 || header.chunks == 0 || header.stride >= header.context ||
      header.zero != 0 || header.positions == 0 || header.positions > uint64_t{header.chunks} * header.context) {
    refuse("its header makes no sense");
  }
  if (rest / row != header.positions || rest % row != 0) {
    refuse(fmt::format("has {} bytes, not the {} positions that it names: cut short or damaged", bytes.size(),
                       header.positions));
  }
  header_ = {header.vocabulary, header.context,         header.stride,           header.chunks,
             header.positions,  hash_hex(header.model), hash_hex(header.tokens), hash_hex(header.text)};
  logs_.resize(header.vocabulary);
}

KlPosition KlBase::read(uint64_t index) {
  assert(index < header_.positions);
  const std::byte* row = file_.bytes().data() + sizeof(FileHeader) + index * row_bytes(header_.vocabulary);
  RowHeader header;
  std::memcpy(&header, row, sizeof(header));
  const bool sane = std::isfinite(header.top_log) && header.top_log <= 1e-3f && std::isfinite(header.range) &&
                    header.range >= 0 && std::isfinite(header.target_log) && header.target_log <= 1e-3f &&
                    header.top < header_.vocabulary;
  if (!sane) throw Error(ErrorKind::kBadFile, fmt::format("position {} makes no sense", index), path_);
  const auto* values = reinterpret_cast<const uint16_t*>(row + sizeof(header));
  for (size_t i = 0; i < logs_.size(); ++i) {
    const float share = static_cast<float>(values[i]) / kSteps;
    logs_[i] = header.top_log - header.range * share * share;
  }
  return {static_cast<TokenId>(header.top), static_cast<double>(header.target_log), logs_};
}

}  // namespace fieldprint
