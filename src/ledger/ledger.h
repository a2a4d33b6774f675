// A ledger: a list of leaves that only grows, on disk, whose heads are signed and cosigned, and which proves to others
// what it holds. A directory (docs/formats/ledger.md has all of it):
//
//   ledger.db    leaves, and rows that were written with them (src/ledger/store.h)
//   sign.db      the last head that was signed, and which files it belongs to
//   tile/...     the tree and its leaves as tlog-tiles
//   checkpoint   the head, signed and cosigned
//
// What holds:
// - What append() or wait_durable() has acknowledged is on the disk, and in every later checkpoint.
// - Of any two heads that are signed one is the beginning of the other; there are never two roots for a size. Before
//   a head is signed, its new leaves are read back from the store, hashed again and compared with what came in, and the
//   step from the last signed head is proven from the tiles on disk.
// - Where the store lost what was signed, or the directory is a copy, nothing is written: see read_only().
//
// Two threads of its own: one commits what waits, many batches in one transaction; one signs, at most every `interval`.
// Every function may be called by any thread. After an error of the system (Error kIo: an fsync, a full disk) the
// ledger refuses everything with that reason until it is opened anew.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/proof_file.h"
#include "ledger/sign_db.h"
#include "ledger/store.h"
#include "ledger/tiles.h"
#include "ledger/witness.h"

namespace fieldprint::ledger {

struct LedgerOptions {
  std::string origin;  // has to be the name of the signer's key
  SignerKey signer;
  std::vector<WitnessLink> witnesses = {};
  std::optional<size_t> quorum = {};  // cosignatures that a checkpoint needs to be published; not set: all of them
  std::chrono::milliseconds interval = std::chrono::milliseconds(200);  // between two heads, where nobody asks sooner
  // What is there is right, says whoever opens it: a copied directory is taken as it is, and a damaged or missing
  // `checkpoint` is written anew. Where the store lost leaves that were signed, this needs an origin (and a key of that
  // name) that has signed nothing yet, since under the old one no other head of these sizes may exist; abandoned() then
  // gives the head that was given up, for the first leaf that is appended to name it.
  bool restore = false;
};

class Ledger {
 public:
  // Opens the directory or makes it. Error kIo where another works on it, kBadFile where the right edge of the tree is
  // damaged, kUsage where another origin than before has no `restore`.
  Ledger(const std::filesystem::path& directory, const LedgerOptions& options);
  ~Ledger();  // what has been enqueued is durable; it may be unsigned

  // Why nothing can be written: "" where it can. Readers and proofs work all the same, as far as what is there goes.
  std::string read_only() const;
  std::string abandoned() const;  // see LedgerOptions::restore; "" where no head was given up

  // Fixes the place of the leaves, at most kLeafMax bytes each, and of the rows that belong to them. Returns the index
  // of the first (where there are none: of the next leaf). They become durable together.
  int64_t enqueue(std::vector<Bytes> leaves, std::vector<IndexWrite> writes);
  // Until the first `size` leaves are durable, and rows enqueued before them.
  void wait_durable(int64_t size);
  // Both: an acknowledgement.
  int64_t append(std::vector<Bytes> leaves, std::vector<IndexWrite> writes);

  int64_t durable_size() const;
  int64_t signed_size() const;  // of the checkpoint that is published
  // Until a checkpoint of at least that size is published. Throws what an attempt to make it failed with.
  void wait_signed(int64_t size);
  void sign() { wait_signed(durable_size()); }

  Bytes leaf(int64_t index) const;
  void leaves(int64_t begin, int64_t end, const LedgerStore::EachLeaf& each) const;
  std::optional<Bytes> get(int space, ByteView key) const;
  void scan(int space, ByteView prefix, const LedgerStore::EachRow& each) const;
  void scan(int space, ByteView prefix, ByteView from, int64_t limit, const LedgerStore::EachRow& each) const;

  Digest root(int64_t size) const;  // of the first leaves that are durable
  std::string checkpoint() const;   // as published; "" before the first
  // A c2sp.org/tlog-proof@v1 for a leaf below signed_size(), verified before it is given out. Error kNotFound above it,
  // kBadFile where tiles or the leaf are damaged.
  std::string proof(int64_t index) const;
  bool included(int64_t index) const;  // whether proof() gives one

  // The checkpoint and all that it stands for, as files below a directory that is there. Returns the checkpoint's size:
  // signed_size() may be larger by then.
  int64_t export_to(const std::filesystem::path& directory) const;

  // Reads and hashes everything again: leaves, rows, tiles, bundles, the checkpoint. What is wrong, in words; empty
  // where nothing is. `spaces`: of the rows to look at.
  std::vector<std::string> check(const std::vector<int>& spaces) const;

 private:
  struct Head {  // a checkpoint as it is published
    Checkpoint checkpoint;
    std::string note;
  };
  struct TryLater;

  // ledger_start.cpp
  void start();
  std::string start_origin();
  std::string start_identity();
  std::string start_publication();
  std::string start_witnesses();
  void start_tree();
  void rebuild_tree();
  void compare_edge();
  void give_up_head();

  void commit_loop();
  void sign_loop();
  void sign_once();
  void advance_head(int64_t size);
  void publish();
  NoteSignature cosign(const WitnessLink& link, const Note& note) const;
  void fail(const std::string& why);
  void refuse_if_failed() const;  // under mutex_
  void refuse_if_closed() const;  // too
  Head published() const;

  const std::filesystem::path directory_;
  const LedgerOptions options_;
  const size_t quorum_;
  std::unique_ptr<LedgerStore> store_;
  std::unique_ptr<SignDb> sign_db_;  // the signing thread's, as the next two
  std::unique_ptr<TileWriter> tiles_;
  SignedHead signed_;                  // the last head in sign.db
  std::string read_only_, abandoned_;  // fixed when the constructor ends

  mutable std::mutex mutex_;  // over all below
  std::condition_variable queued_, durable_changed_, asked_, signed_changed_;
  std::vector<Batch> queue_;
  int64_t batches_queued_ = 0, batches_durable_ = 0;
  int64_t next_ = 0;         // the index of the next leaf
  int64_t durable_ = 0;      // leaves
  int64_t tiled_ = 0;        // leaves that are in tiles
  std::deque<Digest> tail_;  // hashes of the leaves [tiled_, next_)
  std::optional<Head> published_;
  std::string failure_;     // why all is refused; "" while it is not
  int64_t asks_ = 0;        // how often a signature was asked for,
  int64_t asks_tried_ = 0;  // and how many of these the last attempt had seen
  std::string last_try_;    // what that attempt failed with
  bool stopping_ = false;
  std::thread committer_, signer_;
};

}  // namespace fieldprint::ledger
