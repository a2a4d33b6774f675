// What a teacher said, sorted out: `fieldprint distil filter` keeps the rows that a student should learn from and says
// of each other row why it went (docs/distil.md, "Filter").
//
// The same rows and options give the same bytes: rows are sorted by their keys, nothing depends on time, threads or the
// order of the files. Only commands and judges are as sure as they themselves are; what a judge said is kept in
// OUT/judge.jsonl, so that a run that was stopped asks nothing again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/distil.h"
#include "fieldprint/progress.h"

namespace fieldprint {

struct FilterOptions {
  std::vector<std::string> files;  // rows as `distil merge` writes them; with X.top beside X.jsonl where rows have one
  std::string out;                 // folder: kept.jsonl, kept.top, dropped.jsonl, report.json, report.md
  std::vector<std::string> without;  // names of filters that are not to run
  bool dry_run = false;              // writes nothing, runs no command and asks no judge
  int threads = 0;                   // 0 = one per core; commands and requests to a judge at a time, too

  // How an answer ended. "" stands for a server that did not say.
  std::vector<std::string> finish = {"stop", "tool_calls", "function_call", "eos", "eos_token", "end_turn", ""};
  bool trace = false;  // there has to be one; one that did not end is refused without this, too

  // Characters (code points) of answer and trace, tokens of both together as the teacher counted; 0 = no bound.
  int64_t answer_least = 0, answer_most = 0, trace_least = 0, trace_most = 0, tokens_least = 0, tokens_most = 0;
  std::vector<std::string> languages;  // of the answer, ISO 639-1: one of these, or none that can be told; empty = any

  std::string schema;                     // JSON Schema that the answer has to be valid under; "" = none
  std::vector<std::string> patterns;      // regular expressions (PCRE2) that each have to match somewhere in the answer
  std::vector<std::string> patterns_not;  // and such that must not

  // Exact answers: the row's `answer` against what the answer ends up with (src/distil/final_answer.h).
  enum class Verify { kNo, kWhereGiven, kAlways } verify = Verify::kNo;  // kAlways: a row without `answer` goes
  std::string final_pattern;  // finds the final answer: group 1, or all of it, of the last match; "" = the usual forms

  std::vector<std::string> eval_data;  // files or folders of test sets: *.jsonl, *.json, else a text a line

  std::string command;          // gets the row's line on standard input and keeps it by exit code 0; "" = none
  bool command_shell = false;   // by /bin/sh -c; else words with '...' and "..." around those that hold spaces
  double command_seconds = 10;  // then it is killed, and the row goes

  bool vote = false;    // of the answers to one prompt those with the final answer that most of them have
  int votes_least = 1;  // that it has to have

  bool duplicates = true;
  double near_share = 0.8;  // of all runs of 5 words of two answers, how many both have at least; above 1: exact only

  DistilTeacher judge;  // .model "" = none
  std::string judge_sampling = R"({"temperature":0,"max_tokens":512})";
  std::string judge_template;  // Jinja source; "" = judge_template() of the mode
  enum class Judge { kScore, kPairs } judge_mode = Judge::kScore;
  double score_least = 0;  // 1 to 10, of kScore; 0 = none
  int best = 1;            // of the answers to one prompt, how many stay; 0 = all (kScore)
};

struct FilterInfo {
  std::string name, about;
  bool looks_at_all;  // else only at what the filters before it have left
};
std::vector<FilterInfo> distil_filters();  // in the order in which they run
std::string judge_template(FilterOptions::Judge mode);

struct FilterReport {
  struct Sample {
    std::string key, detail;
    std::string prompt, answer;  // beginnings
  };
  struct Reason {
    int64_t rows = 0;
    std::vector<Sample> samples;  // the first by key, three at most
  };
  struct Filter {
    std::string name, setting;  // what it was told, in words
    int64_t rows = 0;           // that it looked at
    int64_t dropped = 0;        // of these; others may have dropped them too
    std::map<std::string, Reason> reasons;
    std::vector<std::string> notes;
  };
  struct File {
    std::string name, sha256;  // without its folder
    int64_t rows = 0;
  };
  struct Teacher {
    std::string name, model_sha256, template_sha256, vocabulary_sha256;  // "" = not known
    int64_t rows = 0;                                                    // of the kept ones
  };
  std::vector<File> files;
  std::vector<Filter> filters;  // those that ran
  int64_t rows = 0, kept = 0;
  int64_t prompts = 0, kept_prompts = 0;
  int64_t kept_tokens = 0;              // of answers, as the teacher counted
  std::string kept_sha256, top_sha256;  // "" in a dry run; the latter also where there is no kept.top
  std::vector<Teacher> teachers;
};

// Throws Error kUsage for options that make no sense and where another run is at work in `out`, kNotFound, kIo;
// kBadInput with file and line for a row that is none, kBadFile for a .top that does not fit its rows, kUnsupported for
// a schema that cannot be held to, kLimit where `progress` asks for a stop. Where it throws, what was in `out` before
// is still there.
FilterReport filter_distilled(const FilterOptions& options, const Progress& progress = {});

std::string to_json(const FilterReport& report);
std::string to_markdown(const FilterReport& report);  // answers stand in code fences that they cannot close

}  // namespace fieldprint
