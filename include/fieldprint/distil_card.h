// The card of a distilled model: one Markdown page that says what it was made of and what became of it, with the hashes
// of everything that went in (docs/distil.md, "Card").
//
// What models, files and users said stands in code or escaped: none of it can become a heading, a link or HTML. Equal
// inputs give equal bytes: a card holds no time and no folder's name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/distil.h"

namespace fieldprint {

// Every part may be missing, and then the card says nothing of it; one that is there has to be readable.
struct CardOptions {
  std::string
      out;  // the card: X.md, with X.svg beside it where there is a training, and X.md.note where there is a key
  std::string title;     // the student's name
  std::string data;      // rows that were learned from: kept.jsonl
  std::string report;    // report.json of `distil filter`
  std::string training;  // folder of `train --out`
  std::string model;     // the student's file; only its hash is shown
  // Results of `eval --out`, results_*.json or folders that hold one model's: the first of one with the first of the
  // other, and so on.
  std::vector<std::string> before, after;
  // Answers to the same prompts: rows of `distil run` with student and base as teachers, or models that are asked now.
  std::string answers_before, answers_after;                       // files
  DistilTeacher model_before, model_after;                         // .model "" = none
  DistilPrompts prompts;                                           // for models; empty = those of the data's first rows
  std::string sampling = R"({"temperature":0,"max_tokens":256})";  // of models
  int samples = 3;
  std::string licence;                // in the user's words
  std::string notes;                  // more of them, as paragraphs
  std::vector<std::string> commands;  // how to make it again
  std::string program;                // "fieldprint 0.1.0"
  std::string key_file;               // of `memory keygen`: signs
};

struct Card {
  std::string path, sha256;     // of X.md
  std::string data_sha256;      // "" = none
  std::string teacher;          // name and hash of the first, for a line about the card
  std::string note_path, vkey;  // "" = not signed
  std::vector<std::string> files;
};

// Throws Error kUsage, kNotFound, kIo, kBadInput and kBadFile with the file that makes no sense. Files appear whole or
// not at all, the note last.
Card write_card(const CardOptions& options);

// Throws Error kBadInput where `path`.note is not a signature of the key over the card's bytes; kNotFound.
void check_card(const std::string& path, const std::string& vkey);

}  // namespace fieldprint
