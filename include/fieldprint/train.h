// Training of model files on JSON lines: all of a model's weights, or adapters beside them (LoRA; Hu et al. 2021),
// which a quantised file serves as well (QLoRA). docs/training.md
//
// The same data, options and seed give the same bits, for any number of threads and any instruction set, also where a
// training was ended at any moment and resumed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fieldprint/progress.h"

namespace fieldprint {

struct TrainOptions {
  // Data
  std::string data;              // JSON lines; *.txt and *.md are one text
  std::string eval_data;         // such a file that is not learned from; "" = a share of `data`
  double eval_share = 0.05;      // of it: 0 = none is held out
  std::string template_source;   // a chat template in place of the model's; "" = the model's
  std::string learn = "answer";  // of a teacher's rows (fieldprint/distil.h): "answer", "trace" (thought and answer),
                                 // "ids" (what it wrote as its own token ids), "top-k" (its distribution there)
  bool raw = false;              // prompts and completions that are texts get no template
  bool specials = false;         // texts may name control tokens
  bool strict = false;           // a faulty row is an error
  int64_t micro_tokens = 2048;   // that pass the model together, at most: memory grows with it. Documents too long for
                                 // it lose their end

  // What is trained
  bool full = false;  // all weights; else adapters:
  int rank = 8;
  float alpha = 16;                  // what is added is scaled by alpha / rank
  std::vector<std::string> targets;  // words (attention, conv, ffn, experts, router, all) or globs over tensor names

  // How
  std::string optimizer = "adamw";  // or "sgd"
  double learning_rate = 0;         // 0 = 2e-4, with `full` 2e-5
  std::string schedule = "cosine";  // or "linear", "constant"
  int64_t warmup = -1;              // steps; below 0: a twentieth of all
  int64_t steps = 0;                // 0: `epochs` decide
  double epochs = 1;
  int64_t documents = 8;  // a step
  double clip = 1;        // of the gradient's norm; 0 = none
  float kl_share = 1;     // of the divergence from a teacher's distribution in the loss; the rest: of its tokens
  double weight_decay = 0;
  double expert_balance = -1;  // how much experts that are chosen too often cost; below 0: 0.01 with `full`, else 0
  uint64_t seed = 1;
  int threads = 0;  // 0 = one per core
  std::string isa;  // "" = the best of this CPU

  // When
  std::string out;         // a folder for all that is written
  int64_t eval_every = 0;  // steps; 0 = ten times over the training
  int64_t save_every = 0;  // steps from checkpoint to checkpoint; 0 = as often as eval_every
  int keep = 2;            // checkpoints, beside the best
  int patience = 0;        // looks at the held-out data in a row that are no better; then it ends. 0 = never
  bool resume = false;     // go on from the newest checkpoint in `out`; where there is none, begin
  std::string merge;       // write a model file of this type with the adapters in it; "" = none
};

// What became of a data file. Rows are lines, counted from 1.
struct TrainData {
  struct Fault {
    std::string name;  // "with an unknown role"
    int64_t rows = 0, first = 0;
    std::string detail;  // of the first
  };
  std::string path;
  int64_t rows = 0, documents = 0;
  int64_t tokens = 0, learned = 0;  // of the documents
  int64_t turns = 0;                // of assistants, that are learned
  int64_t truncated = 0;
  int64_t teacher = 0;                                                    // rows of a teacher's that are learned from
  int64_t thoughts_dropped = 0, thoughts_unopened = 0, ended_by_eos = 0;  // MaskNotes in src/train/mask.h
  int64_t foreign_prompts = 0;
  std::vector<Fault> faults;  // that were left out
  bool cached = false;        // the tokens came from the cache
  // Documents that say what one before says, exactly or nearly, and rows where that is first seen.
  int64_t exact = 0, near = 0, exact_first = 0, exact_second = 0, near_first = 0, near_second = 0;
};

// Bytes that a training takes at its fullest.
struct TrainMemory {
  uint64_t weights = 0;     // of the file, as far as they are read where they lie
  uint64_t parameters = 0;  // trained values
  uint64_t gradients = 0;   // with the sums over micro-batches
  uint64_t moments = 0;
  uint64_t data = 0;         // a teacher's distributions
  uint64_t activations = 0;  // of the largest micro-batch, with the gradients of these
  uint64_t total() const { return weights + parameters + gradients + moments + data + activations; }
  uint64_t available = 0;  // that the system has left; 0: it does not say
};

struct TrainPlan {
  TrainData train;
  std::optional<TrainData> eval;
  int64_t held_out = 0;       // documents that are not learned from
  int64_t eval_in_train = 0;  // of these, that are in what is learned from too, exactly or nearly
  int64_t steps = 0, steps_per_epoch = 0, warmup = 0, eval_every = 0, save_every = 0;
  double learning_rate = 0;
  int64_t passed = 0;        // tokens that pass the model over all steps
  int64_t trained = 0;       // values
  double trained_share = 0;  // of the model's
  TrainMemory memory;
};

// A row as the model gets to see it.
struct TrainRow {
  struct Piece {
    std::string text;
    bool learned = false;
  };
  int64_t line = 0, tokens = 0, learned = 0;
  std::vector<Piece> pieces;
};

struct TrainPoint {
  int64_t step = 0;
  double loss = 0;       // of the step, in nats a token that is learned
  double mean_loss = 0;  // moving average of it: of all at first, then exponential, weight 0.1
  double accuracy = 0;   // share of these tokens that the model found the likeliest
  double learning_rate = 0, norm = 0;
  int64_t tokens = 0, learned = 0;  // that passed the model, and were learned
  double seconds = 0;
  double tokens_per_second = 0, seconds_left = 0;  // over the last steps
  bool skipped = false;                            // not finite: nothing was changed
  // Where the held-out data was looked at after this step.
  std::optional<double> eval_loss, eval_accuracy;
  bool best = false;   // and its loss is the lowest so far
  bool saved = false;  // there is a checkpoint of this step
  // Of a mixture of experts, where the held-out data was looked at or a checkpoint written: the share of each expert in
  // the choices of each layer that has some, since the last time.
  std::vector<std::vector<float>> experts;
};

enum class TrainEnd { kDone, kPatience, kStopped };

struct TrainResult {
  TrainEnd end = TrainEnd::kDone;
  int64_t step = 0, skipped = 0;
  double seconds = 0;
  std::optional<double> eval_before, eval_best;  // loss of the held-out data; before the first step
  int64_t best_step = 0;                         // that the files are of; where nothing is held out the last
  std::vector<std::string> files;                // that were written at the end; none when stopped
  std::string checkpoint;                        // the newest
  std::vector<int> idle_experts;  // of each layer that has experts: how many were not chosen since the last look
};

class Training {
 public:
  // Reads the data and plans; weights are not looked at. Throws Error kUsage for options that make no sense, and as
  // reading the model and the data does: kNotFound, kIo, kBadFile, kUnsupported, kBadInput.
  Training(const std::string& model, const TrainOptions& options);
  ~Training();
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  const TrainPlan& plan() const;
  std::vector<TrainRow> rows(int count) const;  // the first that are learned from

  // Seconds that all steps will take, from one micro-batch. Throws as run().
  double measure();
  // `each` is called after every step; false: the step's checkpoint is written and run() ends. Throws Error kLimit
  // where memory does not do, with what to lower; kUsage where `out` holds a training and this is none of its resuming,
  // kIo. Once.
  TrainResult run(const std::function<bool(const TrainPoint&)>& each, const Progress& progress = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
