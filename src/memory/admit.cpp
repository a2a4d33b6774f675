// The gate: how a text becomes a record. What takes time (the embedding, the detectors) is done before the lock is
// taken.
#include <algorithm>

#include "base/json.h"
#include "fieldprint/error.h"
#include "jinja/unicode.h"
#include "memory/detector.h"
#include "memory/memory.h"
#include "memory/prepared.h"

namespace fieldprint::memory {

namespace {

constexpr int64_t kDayMs = 24 * 60 * 60 * int64_t{1000};

ledger::Bytes quota_key(int64_t day, std::string_view what, ledger::ByteView whose) {
  const Digest digest = ledger::tagged_digest(
      "quota", ledger::encode(ledger::Array{day, what, ledger::Bytes(whose.begin(), whose.end())}));
  return {digest.begin(), digest.end()};
}

void check_name(std::string_view what, std::string_view name, size_t most) {
  if (name.size() > most || !jinja::is_valid_utf8(name)) {
    throw Error(ErrorKind::kBadInput,
                std::string(what) + " is longer than " + std::to_string(most) + " bytes or not UTF-8");
  }
}

}  // namespace

void check_caller(const MemoryCaller& caller) {
  if (caller.principal.empty()) throw Error(ErrorKind::kUsage, "a record needs a principal: whose it is");
  for (const auto& [what, name] :
       {std::pair("the principal", &caller.principal), std::pair("the session", &caller.session),
        std::pair("the adapter", &caller.adapter)}) {
    check_name(what, *name, 256);
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::ranges::any_of(*name, is_control)) {
      throw Error(ErrorKind::kBadInput, std::string(what) + " has line breaks or other control characters");
    }
  }
}

Codes Memory::encode(std::string_view text) {
  const std::lock_guard lock(encoder_mutex_);
  return quantize_embedding(encoder_->encode(text));
}

Memory::Prepared Memory::prepare(const MemoryCaller& caller, const Offer& offer, int64_t payload_bytes) {
  check_open();
  check_caller(caller);
  check_name("the address", offer.uri, 4096);
  check_name("the title", offer.title, 1024);
  if (offer.text.empty()) throw Error(ErrorKind::kBadInput, "there is no text to remember");
  if (static_cast<int64_t>(offer.text.size()) > payload_bytes) {
    throw Error(ErrorKind::kLimit, "the text has " + std::to_string(offer.text.size()) + " bytes, at most " +
                                       std::to_string(payload_bytes) + " are remembered");
  }
  if (!jinja::is_valid_utf8(offer.text) || offer.text.find('\0') != std::string::npos) {
    throw Error(ErrorKind::kBadInput, "the text is not UTF-8");
  }
  Prepared prepared;
  prepared.channel = &channel_of(caller.adapter, offer.channel);
  prepared.payload = {offer.text, caller.adapter, offer.uri, offer.title};
  prepared.encoded = encode_payload(prepared.payload);
  prepared.salt = draw_salt();
  prepared.codes = encode(offer.text);
  const std::string_view uri = offer.uri.empty() && prepared.channel->derived ? caller.session : offer.uri;
  prepared.source = source_id(caller.adapter, caller.principal, uri);
  if (detectors_) prepared.rule = detect(offer.text);
  prepared.seen = offer.seen;
  prepared.valid_until = offer.valid_until;
  prepared.supersedes = offer.supersedes;
  prepared.confidence = std::clamp<int64_t>(offer.confidence, 0, 100);
  return prepared;
}

SessionContext& Memory::session(const MemoryCaller& caller) {
  const ledger::Bytes key = session_key(caller.principal, caller.session);
  const auto [found, fresh] = sessions_.try_emplace(std::string(ledger::text_of(key)));
  SessionContext& context = found->second;
  if (!fresh || caller.session.empty()) return context;
  if (const auto kept = shelf_->get(kSessions, key)) {
    decode_seen(*kept, context);
    for (const RecordId& id : context.seen) {
      try {
        context.echo.shown(payload(id, record(id)).text);
      } catch (const Error&) {  // erased since: it cannot be shown again either
      }
    }
  }
  return context;
}

Label Memory::context_label(const MemoryCaller& caller, const SessionContext* context,
                            const std::vector<RecordId>& lineage) const {
  Label label{std::min(Integrity::kUser, context_integrity(caller.adapter)),
              Sources({source_id(caller.adapter, caller.principal, caller.session)})};
  for (const RecordId& id : lineage) label = join(label, record(id).label);
  if (context && context->any) label.sources = Sources::any();
  return label;
}

std::optional<std::string> Memory::over_quota(const MemoryCaller& caller, const SourceId& source, int64_t time,
                                              std::vector<ledger::IndexWrite>& writes) const {
  const Policy& policy = registry_.policy();
  const int64_t day = time / kDayMs;
  const struct {
    const char* name;
    ledger::Bytes key;
    int64_t most;
  } quotas[] = {
      {"quota:source", quota_key(day, "source", source), policy.source_a_day},
      {"quota:principal", quota_key(day, "principal", ledger::view_of(caller.principal)), policy.principal_a_day},
      {"quota:all", quota_key(day, "all", {}), policy.all_a_day},
  };
  std::optional<std::string> over;
  for (const auto& quota : quotas) {
    const auto kept = shelf_->get(kQuotas, quota.key);
    const int64_t count = kept ? ledger::decode(*kept).integer() : 0;
    if (count >= 2 * quota.most) {
      throw Error(ErrorKind::kLimit, "no more records are taken today (" + std::string(quota.name) + ", twice " +
                                         std::to_string(quota.most) + " a day)");
    }
    if (count >= quota.most && !over) over = quota.name;
    writes.push_back(put_row(kQuotas, quota.key, ledger::encode(count + 1)));
  }
  return over;
}

ledger::Bytes Memory::text_key(const std::string& principal, RecordKind kind, std::string_view text) const {
  const ledger::Bytes bytes =
      ledger::encode(ledger::Array{ledger::ByteView(text_secret_), principal, static_cast<int64_t>(kind), text});
  const Digest digest = ledger::tagged_digest("text", bytes);
  return {digest.begin(), digest.end()};
}

void Memory::add_record(const RecordId& id, const Record& record, const Payload& payload, const Salt& salt,
                        const Codes& codes, std::vector<ledger::IndexWrite>& writes) {
  const SealedPayload sealed{next_place_, salt, seal(keys_->key(next_place_), id, encode_payload(payload))};
  ++next_place_;
  writes.push_back(put_row(kCounters, ledger::view_of("place"), ledger::encode(next_place_)));
  writes.push_back(put_row(kRecords, id, encode_record(record)));
  writes.push_back(put_row(kPayloads, id, encode_sealed(sealed)));
  const auto code_bytes = std::as_bytes(std::span(codes));
  writes.push_back(
      put_row(kCodes, codes_key(record.principal, id), ledger::Bytes(code_bytes.begin(), code_bytes.end())));
  for (const RecordId& parent : record.lineage) {
    ledger::Bytes edge(parent.begin(), parent.end());
    edge.insert(edge.end(), id.begin(), id.end());
    writes.push_back(put_row(kChildren, edge, {}));
  }
}

Admitted Memory::bring(const MemoryCaller& caller, Prepared prepared, EventKind kind) {
  std::unique_lock lock(mutex_);
  check_open();
  const int64_t time = std::max(now_ms(), registry_.time());
  const bool candidate = kind == EventKind::kPropose;
  std::vector<ledger::IndexWrite> writes;

  // The same text of the same principal and kind is there once: a page cannot stand in for what a person says. A
  // candidate is a record of its own.
  const ledger::Bytes key = text_key(caller.principal, prepared.channel->kind, prepared.payload.text);
  if (!candidate) {
    if (const auto kept = shelf_->get(kTexts, key)) {
      const RecordId id = ledger::digest_of(*kept);
      const Record known = record(id);
      const Admitted admitted{id, registry_.row(id), known.label, true, {}};
      const int64_t size = registry_.size();
      lock.unlock();
      shelf_->wait(size);
      return admitted;
    }
  }
  SessionContext* context = caller.session.empty() ? nullptr : &session(caller);
  if (context && !candidate && context->echo.echoes(prepared.payload.text)) {
    throw Error(ErrorKind::kUnsupported,
                "this is what recall has shown in this session; it is remembered already "
                "(a recall's echo is no new record)");
  }
  std::optional<std::string> rule = over_quota(caller, prepared.source, time, writes);

  Record record;
  record.kind = candidate ? RecordKind::kAnchor : prepared.channel->kind;
  record.agent = registry_.agent();
  record.principal = caller.principal;
  record.base_size = registry_.size();
  record.label = {prepared.channel->integrity, Sources({prepared.source})};
  // A candidate descends from what its session was shown too, whoever types it, and from records of the same text.
  const bool shown = context && (prepared.channel->derived || candidate);
  if (prepared.channel->derived || candidate || !prepared.seen.empty()) {
    record.lineage = prepared.seen;
    if (shown) record.lineage.insert(record.lineage.end(), context->seen.begin(), context->seen.end());
    for (int other = 1; candidate && other <= static_cast<int>(RecordKind::kEvent); ++other) {
      const auto same =
          shelf_->get(kTexts, text_key(caller.principal, static_cast<RecordKind>(other), prepared.payload.text));
      if (same) record.lineage.push_back(ledger::digest_of(*same));
    }
    std::ranges::sort(record.lineage);
    record.lineage.erase(std::ranges::unique(record.lineage).begin(), record.lineage.end());
    for (const RecordId& parent : record.lineage) {
      if (this->record(parent).principal != caller.principal) {
        throw Error(ErrorKind::kUnsupported,
                    "what is derived from records of another principal is not remembered "
                    "(labels of different scopes never meet)");
      }
    }
    if (prepared.channel->derived || !record.lineage.empty()) {
      record.label = join(record.label, context_label(caller, context, record.lineage));
    }
    record.label.integrity = std::min(record.label.integrity, kind_integrity(record.kind));
  }
  if (prepared.rule) {
    record.label.integrity = Integrity::kHostile;
    rule = prepared.rule;
  }
  for (const RecordId& parent : record.lineage) {
    const auto bad = is_bad(parent) ? std::optional(parent) : bad_ancestor(parent);
    if (!bad) continue;
    if (candidate) {
      throw Error(ErrorKind::kUnsupported, "it descends from " + hex(*bad) + ", which has fallen (T3)");
    }
    if (!rule) rule = "lineage";
  }
  if (candidate && record.label.integrity == Integrity::kHostile) {
    throw Error(ErrorKind::kUnsupported,
                "what is HOSTILE cannot be proposed (T3)" + (prepared.rule ? ": " + *prepared.rule : std::string()));
  }
  if (candidate && rule) throw Error(ErrorKind::kLimit, "no more is proposed today (" + *rule + ")");
  if (prepared.supersedes) {
    const bool known = registry_.find(*prepared.supersedes) && is_anchor(registry_.row(*prepared.supersedes).status) &&
                       this->record(*prepared.supersedes).principal == caller.principal;
    if (!candidate || !known) throw Error(ErrorKind::kUnsupported, "only an anchor is superseded, by a candidate (T9)");
    record.supersedes = prepared.supersedes;
  }
  if (candidate) {
    if (const auto why = drifts(prepared.codes)) throw Error(ErrorKind::kUnsupported, *why + " (budget of drift)");
  }
  record.payload = payload_digest(prepared.salt, prepared.encoded);
  record.embedding =
      Embedding{encoder_->name(), static_cast<int64_t>(prepared.codes.size()), codes_digest(prepared.codes)};
  record.influence = kind_influence(record.kind);
  record.confidence = prepared.confidence;
  record.valid_until = prepared.valid_until;
  record.created = time;
  const RecordId id = record_id(encode_record(record));

  Event event(candidate ? kind
              : rule    ? EventKind::kQuarantine
                        : EventKind::kAdmit,
              time, "principal:" + caller.principal);
  event.set(Field::kId, ledger::ByteView(id))
      .set(Field::kRecordKind, static_cast<int64_t>(record.kind))
      .set(Field::kIntegrity, static_cast<int64_t>(record.label.integrity));
  if (record.valid_until) event.set(Field::kValidUntil, *record.valid_until);
  if (event.kind == EventKind::kQuarantine) event.set(Field::kCause, *rule);

  add_record(id, record, prepared.payload, prepared.salt, prepared.codes, writes);
  if (!candidate) writes.push_back(put_row(kTexts, key, ledger::Bytes(id.begin(), id.end())));
  put_locked({event}, std::move(writes));
  index_of(caller.principal).add(id, prepared.codes);
  if (record.valid_until) expiring_.emplace(*record.valid_until, id);
  const Admitted admitted{id, registry_.row(id), record.label, false, rule.value_or("")};
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  return admitted;
}

Admitted Memory::admit(const MemoryCaller& caller, const Offer& offer) {
  const int64_t most = with_registry([](const Registry& registry) { return registry.policy().payload_bytes; });
  return bring(caller, prepare(caller, offer, most), EventKind::kAdmit);
}

}  // namespace fieldprint::memory
