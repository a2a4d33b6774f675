// Numbers about a model on text.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct PerplexityOptions {
  int context = 0;      // tokens a chunk; 0 = those of `kl_base`, else 512
  int stride = 0;       // 0 = chunks side by side, or what `kl_base` has; else how far each window is from the last
  int chunks = 0;       // at most; 0 = all
  std::string kl_save;  // where to write every scored position's probabilities, for others to be compared with
  std::string kl_base;  // such a file, of a model with the same vocabulary on the same text: compare with it
  SessionOptions session;
};

// How far the model is from the base, token by token scored. `..._error` are standard errors.
struct Divergence {
  double mean = 0, mean_error = 0;  // Kullback-Leibler divergence of the model from the base, nats
  double median = 0, p90 = 0, p95 = 0, p99 = 0, p999 = 0, max = 0;
  double same_top = 0, same_top_error = 0;        // share of positions with the same most likely token
  double delta_p_rms = 0, delta_p_rms_error = 0;  // root mean square of p(next token) - base p(next token)
  double delta_p = 0, delta_p_error = 0;          // its mean: below 0, the model is the less sure
  double base_perplexity = 0;
  double ratio = 0, ratio_error = 0;  // perplexity / base perplexity
};

struct PerplexityResult {
  double perplexity = 0;
  double error = 0;    // standard error of the perplexity
  double nll = 0;      // mean negative log-likelihood, nats a token
  int64_t tokens = 0;  // predictions scored
  int chunks = 0;
  int context = 0, stride = 0;           // as used
  std::optional<Divergence> divergence;  // with a base; on_chunk sees its means only
};

// `text` is encoded once. Without a stride it is cut into chunks of `context` ids; in each the positions
// context/2 .. context-2 predict their next token. With a stride, as Hugging Face's transformers define it: window i
// begins at i * stride, and of its tokens those are scored that no window before has scored, so that every token but
// the first is scored once, with at least context - stride tokens before it (in the first window fewer). Where the
// model adds a BOS, it takes the place of each chunk's first id. `on_chunk` sees the running value. Files of
// probabilities: docs/formats/kl.md. Throws Error kBadInput where the text is shorter than one chunk or the base is of
// another text or vocabulary, kUsage where it has another context or stride, kBadFile, kIo.
PerplexityResult perplexity(std::shared_ptr<const Model> model, std::string_view text, const PerplexityOptions& options,
                            const std::function<void(const PerplexityResult&, int chunks_total)>& on_chunk = {});

// ---- What a layer does

struct Observation {
  int layers = 0;   // of the model
  int heads = 0;    // of the layer; 0: it has no attention
  int experts = 0;  // of the layer; 0: it has none
  int active = 0;   // experts a token
  // [heads, tokens, tokens]: what share of its attention a token (row) gives another (column). Of the context: where
  // the file mixes in anchor rows of its own, a row still sums to 1.
  std::vector<float> attention;
  std::vector<int> chosen;            // [tokens, active], in order of choice
  std::vector<float> expert_weights;  // [tokens, active]
};

constexpr int kMaxObserved = 1024;  // tokens

// Runs `tokens` through the model and looks at layer `layer`. Throws Error kUsage where there is no such layer, kLimit
// for more than kMaxObserved tokens.
Observation observe(const Model& model, std::span<const TokenId> tokens, int layer);

// ---- Speed

// What the machine does at most with the model's threads and kernels: what figures are shares of.
struct Ceilings {
  double read_bandwidth = 0;  // bytes/s from memory
  double int8_rate = 0;       // operations/s; a product and a sum are two
  double f32_rate = 0;
};
Ceilings measure_ceilings(const Model& model);
Ceilings measure_ceilings(const LoadOptions& options);  // the same without a model

struct BenchTask {
  enum class Kind { kPrefill, kDecode, kStreams };
  Kind kind = Kind::kPrefill;
  int tokens = 512;  // random ones: in one go, or one by one; kStreams: the prompt of each stream
  int depth = 0;     // tokens that are there already, in each stream
  int streams = 1;   // kStreams: sequences side by side: their prompts, then steps with a token of each
  int answer = 0;    // kStreams: those steps
};

struct BenchRow {
  BenchTask task;
  double median = 0, least = 0, most = 0;  // tokens/s; kStreams: generated ones, by the time of prompts and steps
  double decode_rate = 0;                  // kStreams: generated tokens/s of the steps alone
  // What follows is measured at the median; kStreams: of the steps alone.
  double bytes_per_second = 0;  // of weights (once a step, of experts those that were chosen), keys and values
  double int8_operations_per_second = 0;   // in products with quantised weights, keys and values
  double float_operations_per_second = 0;  // in other products
};

// Runs `task` once unmeasured and `repeats` times measured, on sequences of its own; a profile in `options` gets the
// measured ones. Throws as Session does, kLimit where `progress` (in repeats) returned false, kUnsupported for streams
// of the reference executor.
BenchRow bench(std::shared_ptr<const Model> model, const BenchTask& task, const SessionOptions& options, int repeats,
               const Progress& progress = {});

// ---- Attention alone: one layer on random keys and values, without a model.

struct AttentionTask {
  std::string kind = "dot";  // as files say it (docs/formats/attention.md)
  bool naive = false;        // the form that materialises a head's scores, products by OpenBLAS; dot and anchored only
  bool decode = false;       // one token that sees `keys` keys; else all tokens of a prompt of `keys`, causal
  int keys = 4096;
  int heads = 32, kv_heads = 8, head_dim = 128;
  int anchors = 128;  // of kind anchored
  std::string kv_type = "f16";
};

struct AttentionRow {
  AttentionTask task;
  double median = 0, least = 0, most = 0;  // seconds
  std::vector<double> seconds;             // of each repeat: the rows' i-th were measured side by side
  double bytes = 0;                        // of keys and values, each once a step
  // In products of queries, keys and values; a product and a sum are two.
  double int8_operations = 0, float_operations = 0;
  uint64_t extra_bytes = 0;  // memory beside queries, keys, values and output
};

bool has_naive_attention();  // OpenBLAS is installed

// Throws Error kUsage for a shape or kind that there is not, kUnsupported for heads that kv_type cannot
// keep and for a naive one without OpenBLAS.
void check_attention(const AttentionTask& task);

// Measures the tasks in turn, A B A B ..., `repeats` times after one that is not measured. Throws what check_attention
// does, and kLimit where `progress` said stop.
std::vector<AttentionRow> bench_attention(std::span<const AttentionTask> tasks, const LoadOptions& options, int repeats,
                                          const Progress& progress = {});

// ---- Importance: how large the inputs of each matrix are, column by column; quantize() spends its bits by it.

struct ImportanceText {
  std::string name;  // stands in the file
  std::string text;
  double weight = 1;  // of each of its tokens
};

struct ImportanceOptions {
  int context = 512;    // tokens a chunk; the last chunk of a text may have fewer
  int chunks = 0;       // of each text at most; 0 = all
  int save_every = 10;  // chunks
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
// and stops the work by returning false. `model` may be nullptr where there are no texts. Throws Error kUsage,
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

// Reads both formats. Throws Error as ImportanceOptions::files do.
ImportanceSummary summarize_importance(const std::string& path, int top = 5);

}  // namespace fieldprint
