// Distillation: prompts go to a teacher, and what it answers becomes the rows that a student learns from
// (docs/distil.md). The teacher is a model in this process, or any server that speaks the OpenAI API.
//
// A row is known by its key, a hash of everything that was asked for (docs/formats/distil.md). What is on disk is not
// asked for again, so a run that ended at any moment goes on where it was; and rows depend on their keys alone, so that
// merged files are equal whatever the shards, their order and what failed on the way.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

// ---- What is asked

struct DistilPrompts {
  std::vector<std::string> files;  // *.jsonl and *.json lines, *.csv with a head, else text with a prompt a line
  std::string separator;           // of the prompts of a text, in place of the line's end
  std::string prompt_template;     // Jinja source that makes the user's message of a row's members; "" = none
  // Variables of the template with all their values: every combination is asked, with each row where there are files.
  std::vector<std::pair<std::string, std::vector<std::string>>> each;
  std::string system;  // of prompts that bring none; "" = none
  std::string tools;   // JSON list, of prompts that bring none; "" = none
  int samples = 1;     // answers to each prompt
};

struct DistilTeacher {
  std::string model;       // a model file, or the URL of a server
  LoadOptions load;        // of a file
  SessionOptions session;  // of a file
  int streams = 16;        // of a file: answers at a time

  std::string name;           // of a server: which of its models; "" = the first it lists
  std::string api_key;        // of a server; "" = none. It is sent nowhere else, and written nowhere
  std::string tokenizer;      // of a server: a GGUF file of its model's vocabulary; "" = not known
  bool stream = true;         // of a server: answers come in pieces, so that a long one is told from a dead server
  double idle_seconds = 120;  // without a byte, once an answer has begun
  double first_byte_seconds = 1200;  // until it begins; without `stream`, until it is there
  double connect_seconds = 20;
};

struct DistilOptions {
  DistilPrompts prompts;
  DistilTeacher teacher;
  // A JSON object of fields of the OpenAI API and those that servers add to it, as {"temperature": 0.7, "max_tokens":
  // 512, "chat_template_kwargs": {"enable_thinking": true}}. Part of the key.
  std::string sampling = "{}";
  uint64_t seed = 0;  // that rows' seeds are made of
  int top_k = 0;      // log-probabilities of each token to keep; 0 = none

  std::string out;             // the folder
  int shard = 1, shards = 1;   // of the rows, by their keys
  bool keep_failures = false;  // failures on disk are not tried again

  int concurrency = 0;           // requests at most under way; 0 = 32 to a server, `teacher.streams` in this process
  int attempts = 6;              // at a row, before it has failed
  double backoff_seconds = 1;    // before the second attempt, at most; doubles with each
  int breaker_failures = 10;     // in a row, then nothing is sent for a while
  double give_up_seconds = 600;  // without any answer: the run ends

  int64_t budget_tokens = 0;           // of prompts and answers, rows on disk too; 0 = no bound, here and below
  double budget_seconds = 0;           // of this run
  double budget_money = 0;             // rows on disk too
  double price_in = 0, price_out = 0;  // a million tokens of prompts, and of answers
};

// ---- What it would cost, without sending anything

struct DistilPlan {
  struct Shown {
    std::string text;  // as the teacher reads it: rendered by a file's template, else messages as JSON
    int64_t tokens = 0;
  };
  int64_t prompts = 0, duplicates = 0;  // that ask what another asks
  int64_t rows = 0;                     // prompts without duplicates, times samples, of this shard
  int64_t done = 0, failed = 0;         // of these, on disk
  std::vector<Shown> shown;             // the first three
  bool counted = false;                 // prompt_tokens by a tokenizer; else four bytes are taken for a token
  int64_t prompt_tokens = 0;            // of the rows that are left
  int64_t most_tokens = 0;              // of their answers: max_tokens each; 0 = without bound
  int64_t likely_tokens = 0;            // by the mean of the rows on disk; 0 = there is none yet
  double money = 0, seconds = 0;        // likely, else at most; 0 = not known
};

// Throws Error kUsage, kNotFound, kIo, kBadInput with the line of a prompt that makes no sense, kBadFile.
// `tokens_per_second`: of answers, for the time; 0 = not known.
DistilPlan plan_distil(const DistilOptions& options, double tokens_per_second = 0);

// ---- Running

enum class DistilEnd { kDone, kStopped, kTokens, kTime, kMoney, kGaveUp };

struct DistilState {
  int64_t rows = 0;                  // of this shard
  int64_t found = 0;                 // on disk before this run, and not asked for again
  int64_t done = 0, failed = 0;      // by this run
  int64_t in_flight = 0, limit = 0;  // requests under way, and how many may be
  int64_t retries = 0;
  int64_t cut = 0;                        // of `done`: ended at a limit, or in the middle of a thought
  int64_t prompt_tokens = 0, tokens = 0;  // of this run's answers; four bytes each where the teacher does not count
  double seconds = 0;
  bool waiting = false;  // the breaker is open
  std::string trouble;   // the last failure's sentence

  double tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
  double seconds_left() const;  // by the rows so far; below 0: not known
};

struct DistilReport {
  DistilState state;
  DistilEnd end = DistilEnd::kDone;
  std::string path;                             // of the shard's rows
  std::map<std::string, int64_t> failures;      // on disk and not mended: how many of each reason
  std::map<std::string, std::string> examples;  // a sentence of each of these reasons
  std::map<std::string, int64_t> finishes;      // of the answers on disk: how many ended with "stop", "length" ...
  std::vector<std::string> notes;               // sentences: what answers of this run came without
};

// Asks for what is not on disk yet. `watch` is called a few times a second, on the calling thread. Once `stop` is set,
// requests under way are given up, and what was answered is kept. Throws Error as plan_distil, and kIo where the disk
// is full or the teacher refuses everything (its key, its name); what is on disk then stays.
DistilReport run_distil(const DistilOptions& options, const std::function<void(const DistilState&)>& watch = {},
                        const std::atomic<bool>* stop = nullptr);

// ---- One file of all shards

struct DistilMerged {
  int64_t rows = 0, failed = 0;    // written; of these, failures
  int64_t repeated = 0;            // rows left out, whose key another has
  int64_t records = 0;             // with the teacher's probabilities
  std::string sha256, top_sha256;  // of OUT and OUT.top; the latter "" where there is none
  std::vector<std::string> notes;  // sentences: lines that a kill left half written
};

// Merges rows of folders (all their shards) and files into one file sorted by key, with its .top beside it. Of equal
// keys one stays: an answer rather than a failure, then the one of smaller bytes. Every row's key and record are
// checked. An OUT.top that is there already is replaced or removed where it holds probabilities, else it is an Error.
// Throws Error kNotFound, kIo, kBadFile, kUsage, kBadInput with the line.
DistilMerged merge_distil(const std::vector<std::string>& from, const std::string& out);

}  // namespace fieldprint
