#include "memory/commit_digests.h"

#include <algorithm>
#include <cmath>

#include "fieldprint/error.h"
#include "memory/encoder.h"

namespace fieldprint::memory {

namespace {

constexpr float kScale = 16;  // a power of two, so that scaling is exact

ledger::Bytes token_bytes(std::span<const TokenId> tokens) {
  ledger::Bytes bytes;
  bytes.reserve(4 * tokens.size());
  for (const TokenId token : tokens) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(static_cast<uint32_t>(token) >> (8 * i)));
  }
  return bytes;
}

ledger::Array label_value(const SpanLabel& label) {
  return {static_cast<int64_t>(label.kind), label.source, label.clearance};
}

SpanLabel label_from(const ledger::Value& value) {
  const ledger::Array& parts = value.array();
  if (parts.size() != 3) throw Error(ErrorKind::kBadInput, "a label has three parts");
  return {static_cast<SpanKind>(parts[0].integer(0, static_cast<int>(SpanKind::kAnchor))), parts[1].text(),
          static_cast<int>(parts[2].integer(0, INT32_MAX))};
}

}  // namespace

Digest token_digest(std::span<const TokenId> tokens) { return ledger::tagged_digest("tokens", token_bytes(tokens)); }

Digest hidden_digest(std::span<const float> hidden) {
  ledger::Bytes codes(hidden.size());
  for (size_t i = 0; i < hidden.size(); ++i) {
    if (!std::isfinite(hidden[i])) throw Error(ErrorKind::kBadInput, "a hidden state has numbers that are not finite");
    codes[i] =
        static_cast<std::byte>(static_cast<int8_t>(std::clamp(std::nearbyint(hidden[i] * kScale), -127.0f, 127.0f)));
  }
  return ledger::tagged_digest("hidden", codes);
}

Digest next_link(const Digest& last, const Boundary& boundary) {
  ledger::Array pages;
  for (const PageRange& page : boundary.pages) {
    const SpanLabel& label = boundary.context->labels.at(static_cast<size_t>(page.span));
    ledger::Array row{page.begin, page.end};
    for (ledger::Value& part : label_value(label)) row.push_back(std::move(part));
    pages.emplace_back(std::move(row));
  }
  ledger::Bytes bytes(last.begin(), last.end());
  const ledger::Bytes own = ledger::encode(pages);
  bytes.insert(bytes.end(), own.begin(), own.end());
  const Digest tokens = token_digest(boundary.tokens);
  bytes.insert(bytes.end(), tokens.begin(), tokens.end());
  return ledger::tagged_digest("pages", bytes);
}

ledger::Bytes encode_replay(const Boundary& boundary) {
  ledger::Array labels, pages;
  for (const SpanLabel& label : boundary.context->labels) labels.emplace_back(label_value(label));
  for (const PageRange& page : boundary.pages) pages.emplace_back(ledger::Array{page.begin, page.end, page.span});
  const bool anew = boundary.cause == BoundaryCause::kRollback || boundary.cause == BoundaryCause::kAnchorChange;
  return ledger::encode(ledger::Map{{1, token_bytes(boundary.tokens)},
                                    {2, std::move(labels)},
                                    {3, std::move(pages)},
                                    {4, boundary.answer},
                                    {5, boundary.stream},
                                    {6, anew ? 1 : 0},
                                    {7, boundary.begin},
                                    {8, boundary.end},
                                    {9, boundary.number},
                                    {10, boundary.hidden.empty() ? 0 : 1}});
}

Boundary decode_replay(ledger::ByteView bytes) {
  const ledger::Value value = ledger::decode(bytes);
  const ledger::Map& map = value.map();
  Boundary boundary;
  const ledger::Bytes& tokens = map.at(1).bytes();
  if (tokens.size() % 4 != 0) throw Error(ErrorKind::kBadInput, "token ids have four bytes each");
  for (size_t i = 0; i < tokens.size(); i += 4) {
    uint32_t token = 0;
    for (size_t k = 0; k < 4; ++k) token |= static_cast<uint32_t>(tokens[i + k]) << (8 * k);
    boundary.tokens.push_back(static_cast<TokenId>(token));
  }
  auto context = std::make_shared<BoundaryContext>();
  for (const ledger::Value& label : map.at(2).array()) context->labels.push_back(label_from(label));
  const auto spans = static_cast<int64_t>(context->labels.size());
  for (const ledger::Value& page : map.at(3).array()) {
    const ledger::Array& parts = page.array();
    if (parts.size() != 3) throw Error(ErrorKind::kBadInput, "a page has three numbers");
    boundary.pages.push_back({static_cast<int>(parts[0].integer(0, INT32_MAX)),
                              static_cast<int>(parts[1].integer(0, INT32_MAX)),
                              static_cast<int>(parts[2].integer(0, spans - 1))});
  }
  boundary.context = std::move(context);
  boundary.answer = static_cast<int>(map.at(4).integer(0, INT32_MAX));
  boundary.stream = static_cast<uint64_t>(map.at(5).integer(0, INT64_MAX));
  if (map.at(6).integer(0, 1) == 1) boundary.cause = BoundaryCause::kRollback;
  boundary.begin = static_cast<int>(map.at(7).integer(0, INT32_MAX));
  boundary.end = static_cast<int>(map.at(8).integer(0, INT32_MAX));
  boundary.number = static_cast<uint64_t>(map.at(9).integer(0, INT64_MAX));
  if (map.at(10).integer(0, 1) == 1) boundary.hidden = {0};  // there was one; its digest stands in the event
  return boundary;
}

Digest model_digest(const Model& model) { return ledger::tagged_digest("model", ledger::view_of(model.fingerprint())); }

}  // namespace fieldprint::memory
