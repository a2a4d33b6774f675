#include "ledger/ledger.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cassert>

#include "fieldprint/error.h"

namespace fieldprint::ledger {

// What may be better at the next attempt: a witness that could not be reached.
struct Ledger::TryLater : Error {
  explicit TryLater(std::string what) : Error(ErrorKind::kIo, std::move(what)) {}
};

Ledger::Ledger(const std::filesystem::path& directory, const LedgerOptions& options)
    : directory_(directory), options_(options), quorum_(options.quorum.value_or(options.witnesses.size())) {
  if (quorum_ > options.witnesses.size()) throw Error(ErrorKind::kUsage, "a quorum of more witnesses than there are");
  start();
  if (!read_only_.empty()) return;
  committer_ = std::thread([this] { commit_loop(); });
  signer_ = std::thread([this] { sign_loop(); });
  // Names that tools and trials find them by.
  ::pthread_setname_np(committer_.native_handle(), "ledger-commit");
  ::pthread_setname_np(signer_.native_handle(), "ledger-sign");
}

Ledger::~Ledger() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queued_.notify_all();
  asked_.notify_all();
  if (committer_.joinable()) committer_.join();
  if (signer_.joinable()) signer_.join();
}

std::string Ledger::read_only() const { return read_only_; }
std::string Ledger::abandoned() const { return abandoned_; }

void Ledger::fail(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = "the ledger has stopped: " + why;
  }
  queued_.notify_all();
  asked_.notify_all();
  durable_changed_.notify_all();
  signed_changed_.notify_all();
}

void Ledger::refuse_if_failed() const {
  if (!failure_.empty())
    throw Error(ErrorKind::kIo, failure_, directory_.string(), "start again, once the cause is gone");
}

void Ledger::refuse_if_closed() const {
  refuse_if_failed();
  if (!read_only_.empty())
    throw Error(ErrorKind::kUnsupported, "the ledger is read-only: " + read_only_, directory_.string());
}

int64_t Ledger::enqueue(std::vector<Bytes> leaves, std::vector<IndexWrite> writes) {
  std::vector<Digest> hashes;
  for (const Bytes& leaf : leaves) {
    if (leaf.size() > kLeafMax) {
      throw Error(ErrorKind::kLimit, fmt::format("a leaf of {} bytes; {} are the most", leaf.size(), kLeafMax));
    }
    hashes.push_back(leaf_hash(leaf));
  }
  int64_t first;
  {
    const std::lock_guard lock(mutex_);
    refuse_if_closed();
    first = next_;
    next_ += static_cast<int64_t>(leaves.size());
    tail_.insert(tail_.end(), hashes.begin(), hashes.end());
    queue_.push_back({std::move(leaves), std::move(writes)});
    ++batches_queued_;
  }
  queued_.notify_one();
  return first;
}

void Ledger::wait_durable(int64_t size) {
  std::unique_lock lock(mutex_);
  if (size > next_) throw Error(ErrorKind::kNotFound, fmt::format("the ledger has no leaf {}", size - 1));
  durable_changed_.wait(lock, [&] { return durable_ >= size || !failure_.empty(); });
  if (durable_ < size) refuse_if_failed();
}

int64_t Ledger::append(std::vector<Bytes> leaves, std::vector<IndexWrite> writes) {
  const int64_t first = enqueue(std::move(leaves), std::move(writes));
  std::unique_lock lock(mutex_);
  const int64_t batch = batches_queued_;  // or one that came in since, which is durable no sooner
  durable_changed_.wait(lock, [&] { return batches_durable_ >= batch || !failure_.empty(); });
  if (batches_durable_ < batch) refuse_if_failed();
  return first;
}

void Ledger::commit_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    queued_.wait(lock, [&] { return !queue_.empty() || stopping_ || !failure_.empty(); });
    if (queue_.empty() || !failure_.empty()) return;
    const std::vector<Batch> batches = std::exchange(queue_, {});
    const int64_t before = durable_;
    lock.unlock();
    try {
      store_->append(before, batches);
    } catch (const std::exception& error) {
      return fail(error.what());
    }
    lock.lock();
    for (const Batch& batch : batches) durable_ += static_cast<int64_t>(batch.leaves.size());
    batches_durable_ += static_cast<int64_t>(batches.size());
    const bool idle = queue_.empty();
    lock.unlock();
    durable_changed_.notify_all();
    asked_.notify_one();
    try {
      if (idle) store_->maintain();
    } catch (const std::exception& error) {
      return fail(error.what());
    }
    lock.lock();
  }
}

void Ledger::sign_loop() {
  auto next_time = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  const auto asked = [&] { return stopping_ || !failure_.empty() || asks_ != asks_tried_; };
  while (true) {
    asked_.wait(lock, [&] {
      const int64_t size = published_ ? published_->checkpoint.size : 0;
      return asked() || durable_ > size;
    });
    asked_.wait_until(lock, next_time, asked);
    if (stopping_ || !failure_.empty()) return;
    const int64_t asks = asks_;
    lock.unlock();
    std::string failed;
    try {
      sign_once();
    } catch (const TryLater& error) {
      failed = error.what();
    } catch (const std::exception& error) {
      return fail(error.what());
    }
    lock.lock();
    last_try_ = failed;
    asks_tried_ = asks;
    next_time = std::chrono::steady_clock::now() + options_.interval;
    signed_changed_.notify_all();
  }
}

void Ledger::wait_signed(int64_t size) {
  wait_durable(size);
  std::unique_lock lock(mutex_);
  const auto done = [&] { return (published_ ? published_->checkpoint.size : 0) >= size; };
  if (done()) return;
  refuse_if_closed();
  const int64_t ask = ++asks_;
  asked_.notify_one();
  signed_changed_.wait(lock, [&] { return done() || !failure_.empty() || asks_tried_ >= ask; });
  if (done()) return;
  refuse_if_failed();
  throw Error(ErrorKind::kIo, "no checkpoint could be published: " + last_try_, directory_.string());
}

void Ledger::sign_once() {
  int64_t durable, published;
  {
    const std::lock_guard lock(mutex_);
    durable = durable_;
    published = published_ ? published_->checkpoint.size : 0;
  }
  if (durable > signed_.checkpoint.size) advance_head(durable);
  if (published < signed_.checkpoint.size) publish();
}

void Ledger::advance_head(int64_t size) {
  const int64_t tiled = tiles_->size();
  std::vector<Digest> expected;
  {
    const std::lock_guard lock(mutex_);
    expected.assign(tail_.begin(), tail_.begin() + (size - tiled));
  }
  store_->leaves(tiled, size, [&](int64_t index, ByteView leaf) {
    const Digest hash = leaf_hash(leaf);
    if (hash != expected[static_cast<size_t>(index - tiled)]) {
      throw Error(ErrorKind::kBadFile, fmt::format("leaf {} on disk is not the one that came in", index));
    }
    tiles_->append(leaf, hash);
  });
  tiles_->flush();

  const SignedHead before = sign_db_->head(options_.origin);
  const Checkpoint next{options_.origin, size, tiles_->root()};
  if (before.checkpoint.size > 0) {
    TileReader reader(directory_, size);
    const auto proof = consistency_proof(before.checkpoint.size, size, std::ref(reader));
    if (!verify_consistency(before.checkpoint.size, before.checkpoint.root, size, next.root, proof)) {
      throw Error(ErrorKind::kBadFile,
                  fmt::format("the tree on disk does not follow from the head of size {}", before.checkpoint.size));
    }
  }
  const std::string text = checkpoint_text(next);
  const SignedHead head{next, format_note({text, {options_.signer.sign(text)}})};
  sign_db_->advance(before.checkpoint, head);
  signed_ = head;

  const std::lock_guard lock(mutex_);
  tail_.erase(tail_.begin(), tail_.begin() + (size - tiled_));
  tiled_ = size;
}

// Asks with the size that the witness is likely to know; it says where that is another.
NoteSignature Ledger::cosign(const WitnessLink& link, const Note& note) const {
  const Checkpoint& head = signed_.checkpoint;
  const auto ask = [&](int64_t old_size) {
    TileReader reader(directory_, head.size);
    const auto proof = consistency_proof(old_size, head.size, std::ref(reader));
    return link.call(witness_request(old_size, proof, signed_.note));
  };
  const auto trouble = [&](const std::string& what) { return fmt::format("the witness {} {}", link.key.name(), what); };
  WitnessAnswer answer;
  try {
    answer = ask(published_ ? published_->checkpoint.size : 0);
    if (answer.status == 409) {
      const int64_t seen = parse_decimal(std::string_view(answer.body).substr(0, answer.body.find('\n')));
      if (seen > head.size)
        throw Error(ErrorKind::kBadFile, trouble(fmt::format("has cosigned size {} already", seen)));
      answer = ask(seen);
    }
    if (answer.status == 200) {
      for (NoteSignature& signature : parse_signatures(answer.body)) {
        if (link.key.verify(note.text, signature)) return std::move(signature);
      }
      throw TryLater(trouble("answers with a signature that is not its own"));
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBadFile) throw;
    throw TryLater(trouble(fmt::format("does not cosign: {}", error.what())));
  }
  if (answer.status == 422) {
    throw Error(ErrorKind::kBadFile, trouble(fmt::format("says that size {} is a fork: {}", head.size, answer.body)));
  }
  throw TryLater(trouble(fmt::format("refuses ({}): {}", answer.status, answer.body)));
}

void Ledger::publish() {
  Note note = parse_note(signed_.note);
  std::string why;
  size_t cosigned = 0;
  for (const WitnessLink& link : options_.witnesses) {
    try {
      note.signatures.push_back(cosign(link, note));
      ++cosigned;
    } catch (const TryLater& error) {
      why += std::string(why.empty() ? "" : "; ") + error.what();
    }
  }
  if (cosigned < quorum_) throw TryLater(why);
  Head head{signed_.checkpoint, format_note(note)};
  replace_file(directory_ / "checkpoint", view_of(head.note));
  const std::lock_guard lock(mutex_);
  published_ = std::move(head);
}

Ledger::Head Ledger::published() const {
  const std::lock_guard lock(mutex_);
  return published_.value_or(Head{{options_.origin, 0, empty_root()}, ""});
}

int64_t Ledger::durable_size() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

int64_t Ledger::signed_size() const { return published().checkpoint.size; }
std::string Ledger::checkpoint() const { return published().note; }

Bytes Ledger::leaf(int64_t index) const { return store_->leaf(index); }
void Ledger::leaves(int64_t begin, int64_t end, const LedgerStore::EachLeaf& each) const {
  store_->leaves(begin, end, each);
}
std::optional<Bytes> Ledger::get(int space, ByteView key) const { return store_->get(space, key); }
void Ledger::scan(int space, ByteView prefix, const LedgerStore::EachRow& each) const {
  store_->scan(space, prefix, {}, std::numeric_limits<int64_t>::max(), each);
}
void Ledger::scan(int space, ByteView prefix, ByteView from, int64_t limit, const LedgerStore::EachRow& each) const {
  store_->scan(space, prefix, from, limit, each);
}

Digest Ledger::root(int64_t size) const {
  std::vector<Digest> tail;
  int64_t tiled;
  {
    const std::lock_guard lock(mutex_);
    if (size < 0 || size > durable_) {
      throw Error(ErrorKind::kNotFound, fmt::format("the ledger has no {} leaves", size), directory_.string());
    }
    tiled = std::min(tiled_, size);
    if (size > tiled) tail.assign(tail_.begin(), tail_.begin() + (size - tiled));
  }
  TileReader tiles(directory_, tiled);
  const HashReader read = [&](int level, int64_t index) -> Digest {
    if ((index + 1) << level <= tiled) return tiles(level, index);
    if (level == 0) return tail[static_cast<size_t>(index - tiled)];
    return node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1));
  };
  return tree_root(size, read);
}

std::string Ledger::proof(int64_t index) const {
  const Head head = published();
  const int64_t size = head.checkpoint.size;
  if (index < 0 || index >= size) {
    throw Error(ErrorKind::kNotFound, fmt::format("no checkpoint includes leaf {}", index), directory_.string());
  }
  TileReader reader(directory_, size);
  ProofFile proof{{}, index, inclusion_proof(index, size, std::ref(reader)), head.note};
  if (!verify_inclusion(leaf_hash(store_->leaf(index)), index, size, proof.hashes, head.checkpoint.root)) {
    throw Error(ErrorKind::kBadFile, fmt::format("leaf {}, or a tile above it, is not what was signed", index),
                directory_.string());
  }
  return format_proof(proof);
}

bool Ledger::included(int64_t index) const {
  try {
    proof(index);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound && error.kind() != ErrorKind::kBadFile) throw;
    return false;
  }
}

}  // namespace fieldprint::ledger
