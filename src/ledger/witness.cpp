#include "ledger/witness.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/unix_socket.h"
#include "fieldprint/error.h"
#include "ledger/files.h"
#include "ledger/lines.h"
#include "ledger/merkle.h"

namespace fieldprint::ledger {
namespace {

constexpr std::string_view kOld = "old ";
constexpr size_t kProofMax = 63;

struct Request {
  int64_t old_size;
  std::vector<Digest> proof;
  Note note;
  Checkpoint checkpoint;
};

Request parse_request(std::string_view text) {
  Lines lines(text);
  Request request;
  std::string_view line = lines.next();
  if (!line.starts_with(kOld))
    throw Error(ErrorKind::kBadInput, "a request has to begin with the line of its old size");
  request.old_size = parse_decimal(line.substr(kOld.size()));
  while (!(line = lines.next()).empty()) {
    if (request.proof.size() == kProofMax) throw Error(ErrorKind::kBadInput, "a proof with too many hashes");
    request.proof.push_back(digest_from_base64(line));
  }
  request.note = parse_note(lines.left());
  request.checkpoint = parse_checkpoint(request.note.text);
  return request;
}

std::string folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

uint64_t seconds_now() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
}

}  // namespace

std::string witness_request(int64_t old_size, std::span<const Digest> proof, std::string_view note) {
  std::string out = fmt::format("{}{}\n", kOld, old_size);
  for (const Digest& hash : proof) out += to_base64(hash) + "\n";
  return out + "\n" + std::string(note);
}

Witness::Witness(SignerKey key, std::filesystem::path state, std::vector<VerifierKey> logs)
    : key_(std::move(key)), state_(std::move(state)), logs_(std::move(logs)) {
  if (key_.verifier().type() != KeyType::kCosignature) {
    throw Error(ErrorKind::kUsage, fmt::format("the key {} is not a witness's", key_.verifier().name()));
  }
  // The state itself is replaced by renaming, so that the lock is on a file beside it.
  lock_ = lock_in(folder_of(state_), (state_.filename().string() + ".lock").c_str());
  if (!lock_) throw Error(ErrorKind::kIo, "another witness works with it", state_.string());
  load();
}

// The state is the texts of the checkpoints, one after the other, and their digest under them.
void Witness::load() {
  const auto bytes = read_file(state_);
  if (!bytes) return save();
  try {
    std::string_view text = text_of(*bytes);
    const size_t end = text.substr(0, text.empty() ? 0 : text.size() - 1).rfind('\n');
    const size_t size = end == text.npos ? 0 : end + 1;
    if (text.substr(size) != to_hex(tagged_digest("witness", view_of(text.substr(0, size)))) + "\n") {
      throw Error(ErrorKind::kBadInput, "the state of the witness is damaged");
    }
    Lines lines(text.substr(0, size));
    while (!lines.done()) {
      std::string checkpoint;
      for (int i = 0; i < 3; ++i) checkpoint += std::string(lines.next()) + "\n";
      const Checkpoint seen = parse_checkpoint(checkpoint);
      seen_.emplace(seen.origin, seen);
    }
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFile, error.what(), state_.string());
  }
}

void Witness::save() const {
  std::string text;
  for (const auto& [origin, checkpoint] : seen_) text += checkpoint_text(checkpoint);
  text += to_hex(tagged_digest("witness", view_of(text))) + "\n";
  replace_file(state_, view_of(text));
}

WitnessAnswer Witness::add_checkpoint(std::string_view request) {
  const std::lock_guard lock(mutex_);
  if (failed_)
    throw Error(ErrorKind::kIo, "the witness has stopped, since it could not keep its state", state_.string());
  try {
    return answer(request);
  } catch (const Error& error) {
    failed_ = error.kind() == ErrorKind::kIo;
    if (failed_) throw;
    return {400, std::string(error.what()) + "\n"};
  }
}

WitnessAnswer Witness::answer(std::string_view text) {
  const Request request = parse_request(text);
  const Checkpoint& next = request.checkpoint;
  const auto log = std::ranges::find(logs_, next.origin, &VerifierKey::name);
  if (log == logs_.end()) return {404, "a log that is not known here\n"};
  try {
    verify_note(request.note, {&*log, 1});
  } catch (const Error& error) {
    return {403, std::string(error.what()) + "\n"};
  }
  if (request.old_size > next.size) return {400, "the old size is above the new one\n"};
  const auto found = seen_.find(next.origin);
  const int64_t seen = found == seen_.end() ? 0 : found->second.size;
  if (request.old_size != seen) return {409, fmt::format("{}\n", seen)};
  const bool consistent = seen == 0 ? request.proof.empty()
                                    : verify_consistency(seen, found->second.root, next.size, next.root, request.proof);
  if (!consistent) return {422, "the checkpoint does not follow from the one before\n"};
  seen_.insert_or_assign(next.origin, next);
  save();
  return {200, format_signature(key_.sign(request.note.text, seconds_now()))};
}

WitnessLink Witness::link() {
  return {key(), [this](std::string_view request) { return add_checkpoint(request); }};
}

}  // namespace fieldprint::ledger
