// How a ledger starts: is what lies there what was signed last, and is it here that it was signed?
#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "ledger/ledger.h"
#include "ledger/sqlite_store.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRestore = "if what is there is right, open it with restore";

void make_directory(const fs::path& directory) {
  const fs::path full = fs::absolute(directory).lexically_normal();
  std::error_code error;
  if (!fs::create_directories(full, error)) {
    if (error) throw Error(ErrorKind::kIo, "cannot create the folder: " + error.message(), directory.string());
    return;
  }
  fs::permissions(full, fs::perms::owner_all, error);
  sync_directory(full.has_filename() ? full.parent_path() : full.parent_path().parent_path());
}

// A free name, so that what is set aside is never overwritten.
void set_aside(const fs::path& path, const std::string& why) {
  if (!fs::exists(path)) return;
  for (int i = 0;; ++i) {
    const fs::path aside = path.string() + "." + why + (i == 0 ? "" : "-" + std::to_string(i));
    if (fs::exists(aside)) continue;
    std::error_code error;
    fs::rename(path, aside, error);
    if (error) throw Error(ErrorKind::kIo, "cannot be set aside: " + error.message(), path.string());
    sync_directory(path.parent_path());
    return;
  }
}

}  // namespace

// Each step gives a reason to write nothing, or "".
void Ledger::start() {
  if (options_.origin != options_.signer.verifier().name() || options_.signer.verifier().type() != KeyType::kEd25519) {
    throw Error(ErrorKind::kUsage, "the ledger's key has to bear its origin as its name: " + options_.origin);
  }
  make_directory(directory_);
  store_ = std::make_unique<SqliteStore>(directory_);
  next_ = durable_ = store_->size();
  sign_db_ = std::make_unique<SignDb>(directory_ / "sign.db");
  for (const auto step : {&Ledger::start_identity, &Ledger::start_origin, &Ledger::start_publication}) {
    if (const std::string why = (this->*step)(); read_only_.empty()) read_only_ = why;
  }
  start_tree();
  if (read_only_.empty()) read_only_ = start_witnesses();
  abandoned_ = sign_db_->abandoned();
}

// A new ledger is bound to its files before anything is appended to it.
std::string Ledger::start_identity() {
  std::string now = to_hex(store_->id());
  for (const fs::path& path : {directory_, directory_ / "ledger.db", directory_ / "sign.db"}) {
    now += " " + file_identity(path);
  }
  const std::string bound = sign_db_->bound_to();
  if (bound == now) return "";
  const bool fresh = bound.empty() && store_->size() == 0;
  if (!fresh && !options_.restore) {
    if (bound.empty())
      return fmt::format("sign.db does not know this ledger, which holds leaves already; {}", kRestore);
    if (!bound.starts_with(to_hex(store_->id()))) {
      return fmt::format("ledger.db is another ledger's than sign.db; {}", kRestore);
    }
    return fmt::format("the directory or a file of it is a copy, not the one that was signed last; {}", kRestore);
  }
  if (!sign_db_->origin()) sign_db_->begin(options_.origin);
  sign_db_->bind(now);
  return "";
}

std::string Ledger::start_origin() {
  const std::string origin = sign_db_->origin().value_or("");
  signed_ = sign_db_->head(origin.empty() ? options_.origin : origin);
  const int64_t size = signed_.checkpoint.size;
  const bool other = !origin.empty() && origin != options_.origin;
  if (other && !options_.restore) {
    throw Error(ErrorKind::kUsage, fmt::format("is the ledger of {}, not of {}", origin, options_.origin),
                directory_.string());
  }
  if (other) {
    give_up_head();
    return "";
  }
  try {
    if (size > 0 && open_checkpoint(parse_note(signed_.note), options_.signer.verifier()) != signed_.checkpoint) {
      return "sign.db is damaged: its head is not the one that was signed";
    }
  } catch (const Error& error) {
    return fmt::format("sign.db is damaged, or another key signed: {}", error.what());
  }
  if (store_->size() >= size) return "";
  if (options_.restore) {
    throw Error(
        ErrorKind::kUsage,
        fmt::format("the store lost leaves that were signed ({} of {} are there): it can only go on as another log",
                    store_->size(), size),
        directory_.string(), "give it a new origin, and a key of that name");
  }
  return fmt::format("the storage was rolled back: {} leaves were signed, {} are there", size, store_->size());
}

// Never two roots for a size of one origin: what is there now goes on under another.
void Ledger::give_up_head() {
  const std::string why = fmt::format("given-up-{}", signed_.checkpoint.size);
  set_aside(directory_ / "tile", why);
  set_aside(directory_ / "checkpoint", why);
  sign_db_->begin(options_.origin);
  signed_ = sign_db_->head(options_.origin);
}

std::string Ledger::start_publication() {
  const fs::path path = directory_ / "checkpoint";
  const auto bytes = read_file(path);
  if (!bytes) return "";
  Head head;
  try {
    head.note = text_of(*bytes);
    const Note note = parse_note(head.note);
    head.checkpoint = open_checkpoint(note, options_.signer.verifier());
    std::vector<VerifierKey> known{options_.signer.verifier()};
    for (const WitnessLink& witness : options_.witnesses) known.push_back(witness.key);
    // Under a quorum that was raised since, it is published once more.
    if (verify_note(note, known).size() - 1 < quorum_) return "";
  } catch (const Error& error) {
    if (options_.restore) {
      set_aside(path, "damaged");
      return "";
    }
    return fmt::format("the file checkpoint is damaged ({}); {}", error.what(), kRestore);
  }
  const int64_t size = head.checkpoint.size;
  if (size > signed_.checkpoint.size) {
    return fmt::format("sign.db was rolled back: size {} was published, it knows {}", size, signed_.checkpoint.size);
  }
  if (size == signed_.checkpoint.size && head.checkpoint != signed_.checkpoint) {
    return fmt::format("two heads of size {} were signed", size);
  }
  published_ = std::move(head);
  return "";
}

void Ledger::start_tree() {
  const int64_t size = signed_.checkpoint.size;
  try {
    tiles_ = std::make_unique<TileWriter>(directory_, size);
    if (tiles_->root() != signed_.checkpoint.root) {
      throw Error(ErrorKind::kBadFile, "the tree's right edge is not the one that was signed", directory_.string());
    }
    tiled_ = std::min(size, durable_);
    compare_edge();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadFile || !options_.restore) throw;
    rebuild_tree();
  }
  // What is not signed yet has its checksums only.
  if (durable_ > tiled_) {
    store_->leaves(tiled_, durable_, [&](int64_t, ByteView leaf) { tail_.push_back(leaf_hash(leaf)); });
  }
}

// The store against the tiles, where they end. All of it is for check(), and for whoever reads all leaves anyway.
void Ledger::compare_edge() {
  const int64_t begin = std::max<int64_t>(0, tiled_ - 1) / kTileWidth * kTileWidth;
  if (begin == tiled_) return;
  TileReader reader(directory_, tiled_);
  store_->leaves(begin, tiled_, [&](int64_t index, ByteView leaf) {
    if (leaf_hash(leaf) != reader(0, index)) {
      throw Error(ErrorKind::kBadFile, fmt::format("leaf {} is not the one that was signed", index),
                  directory_.string());
    }
  });
}

// Out of the leaves, if they are those that were signed.
void Ledger::rebuild_tree() {
  const int64_t size = signed_.checkpoint.size;
  set_aside(directory_ / "tile", "damaged");
  tiles_ = std::make_unique<TileWriter>(directory_, 0);
  store_->leaves(0, size, [&](int64_t, ByteView leaf) { tiles_->append(leaf, leaf_hash(leaf)); });
  tiles_->flush();
  if (tiles_->root() != signed_.checkpoint.root) {
    throw Error(ErrorKind::kBadFile, "the leaves are not those that were signed", directory_.string());
  }
  tiled_ = size;
}

// A witness whose memory is longer than ours says that ours was put back, even where all our files agree.
std::string Ledger::start_witnesses() {
  const SignedHead& head = signed_;
  if (head.checkpoint.size == 0) return "";
  const std::string request = witness_request(head.checkpoint.size, {}, head.note);
  for (const WitnessLink& witness : options_.witnesses) {
    WitnessAnswer answer;
    try {
      answer = witness.call(request);
    } catch (const Error&) {
      continue;  // without it nothing will be published
    }
    const std::string& name = witness.key.name();
    if (answer.status == 422) return fmt::format("the witness {} has cosigned another head of this size", name);
    if (answer.status != 409) continue;
    try {
      const int64_t seen = parse_decimal(std::string_view(answer.body).substr(0, answer.body.find('\n')));
      if (seen <= head.checkpoint.size) continue;
      return fmt::format(
          "the storage was rolled back: the witness {} has cosigned size {}, the last that is known here is {}", name,
          seen, head.checkpoint.size);
    } catch (const Error&) {
    }
  }
  return "";
}

}  // namespace fieldprint::ledger
