#include "memory/memory.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "fieldprint/error.h"
#include "memory/setup.h"

namespace fieldprint::memory {

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

ledger::Bytes codes_key(const std::string& principal, ledger::ByteView id) {
  const Digest scope = ledger::tagged_digest("scope", ledger::view_of(principal));
  ledger::Bytes key(16 + id.size());
  std::copy_n(scope.begin(), 16, key.begin());
  std::ranges::copy(id, key.begin() + 16);
  return key;
}

Memory::Memory(const MemoryOptions& options)
    : directory_(options.directory),
      detectors_(options.detectors),
      override_((std::filesystem::path(options.directory) / "override").string()) {
  const Directory directory(options.directory);
  const Config config = read_config(directory);
  std::shared_ptr<const Model> model;
  const std::string file = options.model.empty() ? config.model : options.model;
  if (!file.empty()) model = Model::load(file);
  encoder_ = make_encoder(options.encoder.empty() ? config.encoder : options.encoder, model);
  const auto signer = ledger::SignerKey::parse(read_secret(directory.log_key()));
  text_secret_ = ledger::digest_of(ledger::from_hex(read_secret(directory.text_key())));
  ledger::LedgerOptions log{.origin = config.origin, .signer = signer};
  for (const MemoryWitness& witness : config.witnesses) {
    log.witnesses.push_back(ledger::witness_at(witness.socket, ledger::VerifierKey::parse(witness.vkey)));
  }
  ledger_ = std::make_unique<ledger::Ledger>(directory.ledger(), log);
  shelf_ = std::make_unique<Shelf>(*ledger_);
  keys_ = std::make_unique<KeyFile>(directory.payload_keys());
  start();
  if (registry_.origin() != config.origin || registry_.agent() != config.agent) {
    throw Error(ErrorKind::kBadFile, "memory.json names another memory than its ledger's first event",
                options.directory);
  }
  for (const MemoryWitness& witness : config.witnesses) {
    const bool known = std::ranges::any_of(registry_.keys(), [&witness](const Key& key) {
      return key.role == KeyRole::kWitness && !key.retired && key.verifier.vkey() == witness.vkey;
    });
    if (!known) {
      throw Error(ErrorKind::kBadFile, "memory.json names a witness that is no key of this ledger", options.directory);
    }
  }
  follow_override();  // what was commanded while nobody was here comes before anything else
  follower_ = std::thread([this] { follow_loop(); });
}

Memory::~Memory() {
  {
    const std::lock_guard lock(follow_mutex_);
    stopping_ = true;
  }
  follow_wake_.notify_all();
  if (follower_.joinable()) follower_.join();
}

// The registry is folded anew, from leaves whose tree is compared with the one that is signed.
void Memory::start() {
  const int64_t size = ledger_->durable_size();
  ledger::MerkleTree tree;
  ledger_->leaves(0, size, [&](int64_t index, ledger::ByteView leaf) {
    tree.append(ledger::leaf_hash(leaf));
    const Event event = decode_event(leaf);
    if (event.kind == EventKind::kState && index + 1 == size && event.id(Field::kRoot) != registry_.root()) {
      throw Error(ErrorKind::kBadFile, "the registry is not the one that the last STATE event says", directory_);
    }
    registry_.apply(index, event);
    if (const ledger::Value* valid = event.find(Field::kValidUntil)) {
      expiring_.emplace(valid->integer(), event.id(event.kind == EventKind::kEndorse ? Field::kSuccessor : Field::kId));
    }
  });
  if (tree.root() != ledger_->root(size)) {
    throw Error(ErrorKind::kBadFile, "the events on disk are not those that were signed", directory_,
                "fieldprint memory verify says more; a copy of the directory from before may be whole");
  }
  if (size == 0) throw Error(ErrorKind::kBadFile, "the ledger has no first event", directory_);
  if (const auto place = shelf_->get(kCounters, ledger::view_of("place"))) {
    next_place_ = ledger::decode(*place).integer(0, INT64_MAX);
  }
  resume_shreds();
}

int64_t Memory::put_locked(std::vector<Event> events, std::vector<ledger::IndexWrite> writes) {
  if (!broken_.empty()) throw Error(ErrorKind::kIo, broken_, directory_);
  bool first = true;
  try {
    for (Event& event : events) {
      event.time = std::max(event.time, registry_.time());  // the clock may have gone back
      registry_.apply(registry_.size(), event);
      first = false;
    }
    return shelf_->put(events, std::move(writes));
  } catch (const std::exception& error) {
    // The registry stays as it was where the first event is refused; else it is ahead of the ledger.
    if (!first) broken_ = std::string("the memory has stopped: ") + error.what();
    throw;
  }
}

int64_t Memory::put(std::vector<Event> events, std::vector<ledger::IndexWrite> writes) {
  std::unique_lock lock(mutex_);
  const int64_t first = put_locked(events, std::move(writes));
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  return first;
}

int64_t Memory::put_state() {
  std::unique_lock lock(mutex_);
  Event state = event(EventKind::kState, "gateway");
  state.set(Field::kRoot, ledger::ByteView(registry_.root()))
      .set(Field::kRows, static_cast<int64_t>(registry_.rows().size()));
  const int64_t at = put_locked({state}, {});
  lock.unlock();
  shelf_->wait(at + 1);
  return at;
}

std::string Memory::frozen() const {
  if (const std::string why = ledger_->read_only(); !why.empty()) return why;
  if (const std::string why = halted(); !why.empty()) return why;
  return override_.now().frozen() ? "the override has frozen all writing" : "";
}

std::string Memory::halted() const {
  if (!override_.now().halted()) return {};
  const std::string fault = override_.fault();
  return fault.empty() ? "the override has halted the memory"
                       : "the override cannot be read, so all is halted: " + fault;
}

std::string Memory::no_anchors() const {
  return override_.now().no_anchors() ? "the override allows no anchors" : halted();
}

void Memory::check_open() const {
  if (const std::string why = frozen(); !why.empty()) throw Error(ErrorKind::kUnsupported, why, directory_);
}

Row Memory::row(const RecordId& id) const {
  const std::lock_guard lock(mutex_);
  return registry_.row(id);
}

Record Memory::record(const RecordId& id) const {
  const auto kept = shelf_->get(kRecords, id);
  if (!kept) throw Error(ErrorKind::kNotFound, "there is no record " + hex(id));
  if (record_id(*kept) != id) throw Error(ErrorKind::kBadFile, "the record does not hash to its id: " + hex(id));
  return decode_record(*kept);
}

Payload Memory::payload(const RecordId& id, const Record& record) const {
  const auto kept = shelf_->get(kPayloads, id);
  if (!kept) throw Error(ErrorKind::kNotFound, "the payload is not there");
  const SealedPayload sealed = decode_sealed(*kept);
  const ledger::Bytes plain = open_sealed(keys_->key(sealed.place), id, sealed.ciphertext);
  if (payload_digest(sealed.salt, plain) != record.payload) {
    throw Error(ErrorKind::kBadFile, "the text is not the one that the record commits to: " + hex(id));
  }
  return decode_payload(plain);
}

Codes Memory::codes(const RecordId& id, const Record& record) const {
  const auto kept = shelf_->get(kCodes, codes_key(record.principal, id));
  if (!kept) throw Error(ErrorKind::kNotFound, "the embedding of " + hex(id) + " is missing");
  Codes codes(kept->size());
  std::memcpy(codes.data(), kept->data(), kept->size());
  return codes;
}

Salt Memory::salt(const RecordId& id) const {
  const auto kept = shelf_->get(kPayloads, id);
  if (!kept) throw Error(ErrorKind::kNotFound, "the payload has been erased");
  return decode_sealed(*kept).salt;
}

void no_record() {
  throw Error(ErrorKind::kNotFound, "there is no such record", {},
              "`fieldprint memory list` shows those that are yours");
}

RecordId Memory::find(std::string_view prefix) const {
  constexpr size_t kLeast = 6, kMost = 2 * sizeof(RecordId);
  if (prefix.size() < kLeast || prefix.size() > kMost ||
      prefix.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    throw Error(ErrorKind::kBadInput, "an id is 6 to 64 lower-case hex digits: " + std::string(prefix.substr(0, 80)));
  }
  const ledger::Bytes whole = ledger::from_hex(prefix.substr(0, prefix.size() & ~size_t{1}));
  std::vector<RecordId> found;
  shelf_->scan(kRecords, whole, [&](ledger::ByteView key, ledger::ByteView) {
    const RecordId id = ledger::digest_of(key);
    if (found.size() < 2 && hex(id).starts_with(prefix)) found.push_back(id);
  });
  if (found.empty()) no_record();
  if (found.size() > 1) throw Error(ErrorKind::kBadInput, "several records begin with " + std::string(prefix));
  return found.front();
}

VectorIndex& Memory::index_of(const std::string& principal) {
  const auto found = indexes_.find(principal);
  if (found != indexes_.end()) return found->second;
  VectorIndex index(encoder_->dimensions());
  const ledger::Bytes prefix = codes_key(principal, {});
  shelf_->scan(kCodes, prefix, [&](ledger::ByteView key, ledger::ByteView value) {
    // Codes of another encoder have another length, or are told apart where the record is read again (recall.cpp).
    if (value.size() != static_cast<size_t>(encoder_->dimensions())) return;
    index.add(ledger::digest_of(key.subspan(prefix.size())),
              {reinterpret_cast<const int8_t*>(value.data()), value.size()});
  });
  return indexes_.emplace(principal, std::move(index)).first->second;
}

}  // namespace fieldprint::memory
