// A witness (c2sp.org/tlog-witness): it cosigns a log's checkpoint once it has seen, by a consistency proof, that the
// log has only grown since the last one that it cosigned. Its memory is a file of its own, apart from the log's, so
// that a log that is put back to an older state, or forks, finds nobody who cosigns. Ed25519 cosignatures, type 0x04.
//
// Requests and answers are those of add-checkpoint, texts and status codes, whatever carries them: a call within the
// process (Witness::add_checkpoint), a Unix socket (serve_witness, witness_at), or an HTTP server that hands the body
// on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "ledger/checkpoint.h"

namespace fieldprint::ledger {

struct WitnessAnswer {
  int status;        // 200; 400, 403, 404, 409, 422 as the protocol has them
  std::string body;  // 200: signature lines; 409: the size that it has seen last; else why
};

// How a log reaches a witness. Error kIo where it cannot be reached.
using WitnessCall = std::function<WitnessAnswer(std::string_view request)>;

// What a log knows of a witness.
struct WitnessLink {
  VerifierKey key;
  WitnessCall call;
};

// The body of add-checkpoint.
std::string witness_request(int64_t old_size, std::span<const Digest> proof, std::string_view checkpoint_note);

class Witness {
 public:
  // `state`: a file of its own, made where it is not there, and locked against a second witness. `logs`: the keys of
  // the logs that are cosigned, by their origins. Error kBadFile for a damaged state, kUsage for a key of another type.
  Witness(SignerKey key, std::filesystem::path state, std::vector<VerifierKey> logs);

  const VerifierKey& key() const { return key_.verifier(); }

  // From any thread. What it has cosigned is on the disk before it answers; Error kIo where that fails, and from then
  // on.
  WitnessAnswer add_checkpoint(std::string_view request);

  WitnessLink link();  // to this object, which has to live on

 private:
  void load();
  void save() const;
  WitnessAnswer answer(std::string_view request);

  SignerKey key_;
  std::filesystem::path state_;
  std::vector<VerifierKey> logs_;
  Descriptor lock_;
  std::mutex mutex_;
  std::map<std::string, Checkpoint> seen_;  // by origin
  bool failed_ = false;
};

// Answers on a Unix socket at `path`, one request a connection, until stop() says true (asked about four times a
// second). The socket is its user's only (0600). Error kIo where it cannot listen there, or where the witness has
// failed.
void serve_witness(Witness& witness, const std::filesystem::path& path, const std::function<bool()>& stop);

// The link to a witness that is served at `path`. Waits at most two seconds for an answer.
WitnessLink witness_at(const std::filesystem::path& path, const VerifierKey& key);

}  // namespace fieldprint::ledger
