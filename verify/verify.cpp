#include "verify.h"

#include <fmt/format.h>

#include "checkpoint.h"
#include "commits.h"
#include "payloads.h"
#include "proof.h"
#include "records.h"
#include "replay.h"
#include "text.h"
#include "tiles.h"

namespace fieldprint::verify {
namespace {

constexpr size_t kVkeyBytesMax = 4096;

std::string plural(uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

class Check {
 public:
  Check(const Files* files, const Options& options, Report& report)
      : files_(files), options_(options), report_(report) {}

  void run() {
    log_ = options_.log ? options_.log : own_log_key();
    if (!log_) return;
    if (options_.proof) {
      check_proof(options_.proof->bytes, options_.proof->name, *log_, options_.event, proof_, report_);
      if (!files_) check_witnesses(proof_, options_.proof->name, {});
    }
    if (files_) check_export();
  }

 private:
  std::optional<Vkey> own_log_key() {
    const std::optional<std::string> bytes = read_file(*files_, "log.vkey", kVkeyBytesMax, report_);
    if (!bytes) return std::nullopt;
    std::optional<Vkey> key =
        bytes->ends_with('\n') ? parse_vkey(std::string_view(*bytes).substr(0, bytes->size() - 1)) : std::nullopt;
    if (!key) report_.fault("key.form", "The file is not a verifier key and a newline.", {.file = "log.vkey"});
    return key;
  }

  void check_export() {
    if (options_.log) {
      const std::optional<Vkey> own = own_log_key();
      if (own && own->text != options_.log->text)
        report_.fault("key.log", "The log's key in the export is not the one that you trust.", {.file = "log.vkey"});
    }
    std::optional<std::string> bytes = read_file(*files_, "checkpoint", kCheckpointBytesMax, report_);
    Checkpoint checkpoint;
    if (!bytes || !read_checkpoint(std::move(*bytes), *log_, "checkpoint", checkpoint, report_)) return;
    const Records records(*files_, report_);
    Replay replay(records, checkpoint.origin, report_);
    std::vector<Earlier> earlier = earlier_checkpoints(checkpoint);

    std::optional<uint64_t> gap;
    const TreeWalk walk = walk_tree(
        *files_, checkpoint.size, sizes_of(earlier),
        [&](uint64_t index, std::string_view leaf) { replay.event(index, leaf); }, [&](uint64_t index) { gap = index; },
        report_);
    if (walk.complete && walk.root != checkpoint.root)
      report_.fault("tree.root", "The events do not come to the root that the checkpoint signs.",
                    {.file = "checkpoint"});
    if (checkpoint.size == 0) report_.fault("event.genesis", "The ledger is empty: it lacks GENESIS.");
    replay.end(walk.complete);
    for (size_t i = 0; i < earlier.size(); ++i) compare(earlier[i], walk.roots[i], walk.complete);
    check_strays(*files_, checkpoint.size, report_);

    const std::vector<Vkey> logs = replay.keys().in_force(Role::kLog);
    if (walk.complete &&
        std::none_of(logs.begin(), logs.end(), [&](const Vkey& key) { return key.text == log_->text; }))
      report_.fault("key.log", "The key that signed the checkpoint is not a log key in force in the ledger.",
                    {.file = "checkpoint"});
    check_witnesses(checkpoint, "checkpoint", replay.keys().in_force(Role::kWitness));
    const PayloadCounts payloads = check_payloads(*files_, records, replay.registry(), report_);
    const uint64_t commits = check_commits(*files_, replay.commits(), report_);
    if (commits > 0)
      report_.checked(fmt::format("The token ids of {} are those that {}.", plural(commits, "commit", "commits"),
                                  "their events say; an audit with the model computes the rest again"));
    report_.count("commits", commits);
    say(checkpoint, walk, gap, records, replay, payloads);
  }

  // A checkpoint of a size up to the export's, whose root has to be the one at that size.
  struct Earlier {
    const Given* given;
    uint64_t size;
    Hash root;
  };

  std::vector<Earlier> earlier_checkpoints(const Checkpoint& now) {
    std::vector<Earlier> result;
    const auto add = [&](const Given& given, const Checkpoint& older) {
      if (older.origin != now.origin)
        report_.fault("tree.consistency",
                      fmt::format("This checkpoint is of another ledger, {}.", printable(older.origin)),
                      {.file = given.name});
      else if (older.size > now.size)
        report_.fault("tree.consistency",
                      fmt::format("This checkpoint is at {} events, the export at {}: the ledger was cut back, or the "
                                  "export is the older one.",
                                  older.size, now.size),
                      {.file = given.name});
      else result.push_back({&given, older.size, older.root});
    };
    if (options_.older && read_checkpoint(options_.older->bytes, *log_, options_.older->name, older_, report_))
      add(*options_.older, older_);
    if (options_.proof && !proof_.origin.empty()) add(*options_.proof, proof_);
    return result;
  }

  static std::vector<uint64_t> sizes_of(const std::vector<Earlier>& earlier) {
    std::vector<uint64_t> sizes;
    for (const Earlier& one : earlier) sizes.push_back(one.size);
    return sizes;
  }

  void compare(const Earlier& earlier, const std::optional<Hash>& root, bool complete) {
    if (!root) return;  // an event before it is missing, and reported
    if (*root != earlier.root)
      report_.fault(
          "tree.consistency",
          fmt::format("At {} events the ledger had another root than this checkpoint says: history was changed.",
                      earlier.size),
          {.file = earlier.given->name});
    else if (complete)
      report_.checked(fmt::format("It is consistent with {} at {}.", printable(earlier.given->name),
                                  plural(earlier.size, "event", "events")));
  }

  void check_witnesses(const Checkpoint& checkpoint, const std::string& file, const std::vector<Vkey>& own) {
    const bool named = !options_.witnesses.empty();
    const std::vector<Vkey>& witnesses = named ? options_.witnesses : own;
    const size_t needed =
        options_.witnesses_min.value_or(named ? witnesses.size() : std::min<size_t>(witnesses.size(), 1));
    const size_t count = count_cosignatures(checkpoint, witnesses, file, report_);
    if (count < needed)
      report_.fault("checkpoint.witnesses",
                    fmt::format("{} of {} have cosigned, {} are needed.", count,
                                plural(witnesses.size(), "witness", "witnesses"), needed),
                    {.file = file});
    report_.checked(fmt::format(
        "The checkpoint of {} at {} is signed by the log{}, and cosigned by {} of {}.", printable(checkpoint.origin),
        plural(checkpoint.size, "event", "events"),
        options_.log ? " whose key you gave" : " (its key is the export's own: --log-key says whom you trust)", count,
        plural(witnesses.size(), "witness", "witnesses")));
    report_.count("cosignatures", count);
  }

  void say(const Checkpoint& checkpoint, const TreeWalk& walk, std::optional<uint64_t> gap, const Records& records,
           const Replay& replay, const PayloadCounts& payloads) {
    const auto events = [&](EventKind kind) { return replay.counts()[static_cast<size_t>(kind)]; };
    uint64_t replayed = 0;
    for (uint64_t count : replay.counts()) replayed += count;
    if (gap)
      report_.checked(
          fmt::format("Events from {} on could not be replayed, since an entry bundle is missing or damaged.", *gap));
    report_.checked(
        fmt::format("{} and {} were read and hashed anew{}.",
                    plural(walk.bundles, "bundle of events", "bundles of events"), plural(walk.tiles, "tile", "tiles"),
                    walk.complete && walk.root == checkpoint.root ? ": they come to the checkpoint's root" : ""));
    report_.checked(fmt::format(
        "{} replayed; {} have their form and label.", plural(replayed, "event was", "events were"),
        plural(records.size(), "record was hashed to its id: all", "records were hashed to their ids: all")));
    report_.checked(fmt::format(
        "{} by {} in force.",
        plural(replay.signatures(), "signature of statements holds", "signatures of statements hold"), "keys"));
    if (const uint64_t states = replay.states_compared() + replay.states_skipped(); states > 0)
      report_.checked(fmt::format("The registry's root was compared with {} of {}.", grouped(replay.states_compared()),
                                  plural(states, "STATE event", "STATE events")));
    if (replay.lineage_exhausted())
      report_.checked("The lineage is so large that what some records descend from was not looked at to its end.");
    if (const uint64_t commands = events(EventKind::kOverride); commands > 0)
      report_.checked(fmt::format("{} the form alone was checked: the keys are not in the ledger.",
                                  plural(commands, "command of the override was found; of it",
                                         "commands of the override were found; of them")));
    report_.checked(payloads.there
                        ? fmt::format("{} what {} commit to.", plural(payloads.payloads, "payload is", "payloads are"),
                                      "their records")
                        : "The export has no payloads: what the records commit to was not checked.");
    report_.count("events", replayed);
    report_.count("records", records.size());
    report_.count("tiles", walk.tiles);
    report_.count("bundles", walk.bundles);
    report_.count("signatures", replay.signatures());
    report_.count("states", replay.states_compared());
    report_.count("payloads", payloads.payloads);
  }

  const Files* files_;
  const Options& options_;
  Report& report_;
  std::optional<Vkey> log_;
  Checkpoint proof_, older_;
};

}  // namespace

Report check(const Files* files, const Options& options) {
  Report report(options.faults_max);
  try {
    Check(files, options, report).run();
  } catch (const TooManyFaults&) {  // the report says so
  }
  return report;
}

}  // namespace fieldprint::verify
