// Data files as examples: JSON lines, or one plain text (*.txt, *.md), read, masked and counted, kept as tokens in a
// cache, split, and looked through for what is there twice.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "fieldprint/chat_template.h"
#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "train/example.h"
#include "train/mask.h"
#include "train/rows.h"
#include "train/teacher_examples.h"

namespace fieldprint {

struct DatasetOptions {
  int64_t max_tokens = 2048;     // of a document, at least 2: what is longer loses its end, texts are cut into several
  bool raw = false;              // RowOptions::raw
  bool specials = false;         // MaskOptions::specials
  bool strict = false;           // a faulty row is an Error kBadInput that names it; else it is left out and counted
  Learn learn = Learn::kAnswer;  // of a teacher's rows
  std::string cache = {};        // folder of tokens by what they were made of, made where needed; "": none is kept
};

struct FaultCount {
  int64_t rows = 0;
  int64_t first = 0;   // line of the first, from 1
  std::string detail;  // of the first
};

struct DatasetReport {
  int64_t rows = 0;  // lines that are not blank
  int64_t tokens = 0, learned = 0;
  int64_t turns = 0;    // of assistants, that are learned
  int64_t teacher = 0;  // rows of a teacher's that are learned from
  std::array<FaultCount, kRowFaults> faults;
  int64_t truncated = 0;  // documents that lost their end
  int64_t thoughts_dropped = 0, thoughts_unopened = 0, ended_by_eos = 0, foreign_prompts = 0;  // MaskNotes
  bool cached = false;                                                                         // nothing was tokenised
};

struct Dataset {
  std::vector<Example> examples;
  std::vector<int64_t> lines;  // of the file, from 1: where each example comes from
  // What stays together: the examples of one conversation have a number in common, and a teacher's answers to one
  // prompt; pieces of a text have one each.
  std::vector<int64_t> groups;
  DatasetReport report;
};

// `tokenizer` and `chat_template` are those of `model`, or a template in place of its own; nullptr: there is none.
// The same for any number of threads. Throws Error kNotFound, kIo; kBadInput with `strict`, where no row is left, and
// where token ids of another vocabulary were to be learned.
Dataset read_dataset(const std::string& path, const GgufFile& model, const Tokenizer& tokenizer,
                     const ChatTemplate* chat_template, const DatasetOptions& options, ThreadPool& pool);

void make_folder(const std::string& path);  // and those above it. Throws Error kIo

// Hash of the examples' tokens and weights, 64 hex digits: equal for equal data.
std::string dataset_fingerprint(const Dataset& dataset);

// Moves about a share of the groups out of `train`, by a hash of their tokens and `seed`: which these are depends on
// nothing else, and equal ones stay together.
Dataset split_off(Dataset& train, double share, uint64_t seed);

}  // namespace fieldprint
