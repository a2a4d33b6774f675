// Importance: how large the inputs of each matrix are, column by column. quantize() spends its bits by it.
// The files (GGUF, and the older format of llama.cpp): docs/formats/imatrix.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct ImportanceText {
  std::string name;   // is written to the file
  std::string text;   // encoded without special tokens
  double weight = 1;  // of each of its tokens; above 0, up to 1,000,000
};

struct ImportanceOptions {
  int context = 512;    // tokens a chunk; the last chunk of a text may have fewer
  int chunks = 0;       // of each text at most; 0 = all
  int save_every = 10;  // chunks between two writes of the unfinished file; 0 = only when it is stopped
  std::vector<ImportanceText> texts;
  std::vector<std::pair<std::string, double>> files;  // importance matrices to add, and the weight of their tokens
  SessionOptions session;                             // its context is not used
};

struct ImportanceProgress {
  int chunks = 0, chunks_total = 0;
  int resumed = 0;        // of `chunks`, those that an earlier run had done
  double perplexity = 0;  // of this run's whole chunks; 0 before the first
};

// Sums the squares of every matrix's inputs over `texts`, adds `files`, and writes `out`. Chunks are as in
// perplexity(). The bytes depend on the model file and the options only: not on threads, nor on interruptions. What is
// done so far stands in `out`.part, an importance matrix too, from which a call with the same model and options goes
// on; where `out` itself is of these, it is left as it is. `on_chunk` is called before the first chunk and after each,
// on the calling thread, and stops the work by returning false. `model` may be null where there are no texts. One call
// at a time may write to the same `out`. Throws Error kUsage,
// kBadInput (an activation that is not finite, files of another model), kBadFile, kIo, and kLimit where it was stopped.
void measure_importance(std::shared_ptr<const Model> model, const ImportanceOptions& options, const std::string& out,
                        const std::function<bool(const ImportanceProgress&)>& on_chunk = {});

// What an importance matrix says about one tensor.
struct ImportanceStatistics {
  std::string tensor;
  uint64_t columns = 0, experts = 0;
  uint64_t experts_idle = 0;                     // never chosen
  double rows = 0;                               // inputs seen, of all experts
  double sum = 0, mean = 0, max = 0;             // of the mean squares
  double zeros = 0;                              // share of columns that never had an input
  double entropy = 0;                            // of the columns' shares: 1 = all alike, 0 = one has all
  std::vector<std::pair<uint64_t, double>> top;  // columns with the largest shares, of all experts together
};

struct ImportanceSummary {
  std::vector<std::string> datasets;
  uint32_t chunks = 0, chunk_size = 0;
  std::vector<ImportanceStatistics> tensors;  // by name
};

// Reads a file of either format; `top`: how many columns of each tensor to name. Throws Error kNotFound, kIo, kBadFile.
ImportanceSummary summarize_importance(const std::string& path, int top = 5);

}  // namespace fieldprint
