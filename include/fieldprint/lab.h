// The attention lab: small models that learn a task with one kind of attention or another, side by side, and reports of
// what came out (docs/lab.md). Everything is drawn from seeds, so a run gives the same bits for any number of threads
// and instruction set; only its times differ.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/progress.h"

namespace fieldprint {

struct LabName {
  std::string_view name, about;
};
std::span<const LabName> lab_tasks();
// Kinds of attention and controls: a kind of docs/formats/attention.md with what else of the model it changes.
std::span<const LabName> lab_kinds();

// One run. The defaults are the published experiment.
struct LabSettings {
  std::string task = "copy";  // of lab_tasks()
  int length = 64;            // tokens of a sequence
  int vocabulary = 64;        // of a task that is drawn; a text has its own
  std::string text;           // task "text": its file
  std::string tokenizer;      // a GGUF file whose tokenizer cuts the text; "" = bytes
  std::string content;        // of both files, a hash: whoever runs the settings fills it in

  std::string kind = "dot";  // of lab_kinds()
  int layers = 1, width = 64, heads = 4;
  int ffn = 0;  // rows of each layer's FFN; 0: none
  bool residual = false;
  bool norm = false;       // RMS norm before attention, FFN and output
  bool head_norm = false;  // q, k and r RMS-normed per head, before RoPE
  bool rope = true;
  bool bias = true;                  // of q, k, v, r, the output projection and the FFN
  float embedding_deviation = 0.5f;  // of the embedding's first values

  uint64_t seed = 1;  // of the weights and of what is learned from
  int steps = 500;
  int batch = 32;               // sequences a step
  float learning_rate = 3e-3f;  // of Adam, constant
  int every = 10;               // steps from one look at held-out sequences to the next
  int held_out = 128;           // these sequences, the same for all runs of a task
};

struct LabPoint {
  int64_t step = 0;
  double loss = 0;  // of the step's batch, mean over all places, nats
  double norm = 0;  // of the gradient
  // Of held-out sequences, where they were looked at; else accuracy < 0.
  double held_out_loss = 0, accuracy = -1;
};

inline constexpr double kLabThreshold = 0.99;

struct LabRun {
  LabSettings settings;
  int64_t parameters = 0;
  std::vector<LabPoint> points;     // [steps]
  int64_t steps_to_threshold = -1;  // first look at which accuracy was above kLabThreshold; -1: none
  double loss = 0, accuracy = 0;    // held out, at the end; loss where it is asked
  double train_loss = 0;            // mean over the last tenth of the steps
  double seconds = 0;               // of the steps, without looks at held-out sequences
  double step_seconds = 0;          // the median
  double tokens_per_second = 0;     // batch * length / step_seconds
  int threads = 0;                  // that each step ran on
  int side_by_side = 1;             // runs at the same time
  std::string isa;
  int64_t skipped = 0;       // steps without a finite loss or gradient
  std::string weights_hash;  // SHA-256 of all parameters at the end
};

struct LabOptions {
  int threads = 0;        // 0 = one per core
  std::string isa = {};   // "" = the best of this CPU
  std::string save = {};  // where to write the trained model as GGUF; "" = nowhere
};

// Throws Error kUsage for settings that make no model, kLimit where `progress` returned false; it counts tokens.
LabRun run_lab(const LabSettings& settings, const LabOptions& options, const Progress& progress = {});

struct LabComparison {
  LabSettings settings;  // what all runs share
  std::vector<std::string> kinds;
  std::vector<float> learning_rates;
  int seeds = 5;        // settings.seed and those after it
  std::string out;      // the folder; what is finished in it is not run again
  std::string version;  // of the program, for the report
  LabOptions options;
};

// Runs every kind with every learning rate and seed, one thread each, side by side, and writes into `out`: runs/ (one
// JSON file and one model a run), steps.csv, steps.jsonl, runs.csv, runs.jsonl, report.md, report.html and the pictures
// as SVG. Throws as run_lab(), and Error kIo. A run that was finished stays finished whatever ends the others.
std::vector<LabRun> compare_lab(const LabComparison& comparison, const Progress& progress = {});

// What a run leaves in a folder: run.json, steps.csv, steps.jsonl. Throws Error kIo.
void write_lab_run(const LabRun& run, const std::string& folder);

// The published table: one query, one r, keys that point nowhere, and one that lies in their plane.
struct ResilienceRow {
  std::string magnitude;  // of the key's part that neither looks for
  double dot = 0, gram = 0;
  std::string result;
};
std::vector<ResilienceRow> resilience_table();

// Beyond it: one relevant key among `keys` random ones, the share of softmax mass that goes to the random ones, over
// `trials` draws.
struct LeakRow {
  std::string_view kind;  // "dot" or "gram"
  int head_dim = 0;
  bool same_length = true;    // of random keys; else each of their floats is normal
  bool equal_spread = false;  // scores scaled so that those of random keys have deviation 1; else the published scale
  double match = 1;           // cosine of the relevant key with what the query looks for
  int keys = 0;
  double least = 0, median = 0, most = 0;
};
struct LeakOptions {
  std::vector<int> head_dims = {16, 64};
  std::vector<double> matches = {1, 0.8};
  std::vector<int> keys = {64, 256, 1024, 4096, 16384, 65536};
  int trials = 15;
  uint64_t seed = 1;
};
std::vector<LeakRow> measure_leak(const LeakOptions& options, const Progress& progress = {});
// The two as Markdown, with what they show and what not; pictures are leak-dD.svg, written into `out` where that is
// not "".
std::string resilience_report(std::span<const LeakRow> leak, const std::string& out);

}  // namespace fieldprint
