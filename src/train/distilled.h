// What a teacher answered, as `fieldprint distil` keeps it and `train` learns from it: one JSON object a line, and
// beside X.jsonl, where probabilities were asked for, X.top. docs/formats/distil.md
//
// A row's bytes depend on its key alone (and on what the teacher said): no time, no place, no order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct TeacherRow {
  std::string key;       // 64 hex digits: SHA-256 of prompt, sampling, sample, teacher's model and template
  std::string id;        // the prompt's own, where its file gives one; ""
  std::string messages;  // the prompt: JSON list of messages as the OpenAI API has them, in canonical form
  std::string tools;     // JSON list; "" = none
  std::string answer;    // the prompt's file may give the right one (`answer`), for verifiers; ""
  std::string task;      // and a name of what it belongs to; ""
  int sample = 0;        // of n, from 0
  uint64_t seed = 0;     // of the key
  std::string sampling;  // JSON object of what was asked for: {"temperature": 0.7, "max_tokens": 512}

  // What came, or why nothing did.
  std::string reasoning, content;              // thinking and answer, apart
  bool unclosed = false;                       // the thinking did not end
  std::string finish_reason;                   // "stop", "length", "tool_calls", ...; "" = the server gave none
  std::string tool_calls;                      // JSON list; "" = none
  std::vector<TokenId> prompt_ids, token_ids;  // the teacher's own, the end token too; empty where the server has none
  int64_t prompt_tokens = 0, completion_tokens = 0;
  std::string failure, detail;  // why there is no answer: "timeout", and a sentence; "" = there is one
  int attempts = 0;             // of a failure

  struct Teacher {
    std::string name, model_sha256, template_sha256, vocabulary_sha256;  // "" = not known
  } teacher;
  int top_k = 0;           // of its record in X.top; 0 = there is none
  std::string top_sha256;  // of that record's bytes

  bool failed() const { return !failure.empty(); }
};

// Throws Error kBadInput, with `where`, for a line that is none of distil's.
TeacherRow read_teacher_row(std::string_view line, const std::string& where);
std::string to_line(const TeacherRow& row);  // with the line's end
bool is_teacher_row(std::string_view line);  // whether it looks like one: train's data files may hold any rows

// A record of X.top: for each of a row's token_ids the k likeliest tokens of the teacher's distribution there.
struct TopRecord {
  std::string key;  // 64 hex digits
  int k = 0;
  std::vector<TokenId> ids;  // [tokens, k], the likeliest first; kNoToken where the server gave fewer
  std::vector<float> logp;   // [tokens, k], nats, as float16 has them
  std::vector<float> tail;   // [tokens], ln of the probability of all others; -inf where nothing is left
};
inline constexpr std::string_view kTopMagic = "FPTOPK1\n";  // at the beginning of the file
std::string to_bytes(const TopRecord& record);  // key 32 bytes, u32 k, u32 tokens, u32 ids, f16 logp, f16 tail

// Reads X.top: every whole record's place, without keeping its values. What a kill left half written at the end is
// ignored; of two records of one key the later counts. Throws Error kNotFound, kIo, kBadFile. From any thread.
class TopFile {
 public:
  explicit TopFile(const std::string& path);
  ~TopFile();
  TopFile(const TopFile&) = delete;
  TopFile& operator=(const TopFile&) = delete;
  std::optional<TopRecord> find(const std::string& key) const;
  std::string_view bytes(const std::string& key) const;  // "" = there is none; valid as long as this lives
  uint64_t whole_bytes() const;                          // up to the end of the last whole record
  std::string sha256() const;                            // of these

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-256 over all tokens' bytes in the order of their ids, each with its length before it: equal for equal
// vocabularies.
std::string vocabulary_sha256(const Tokenizer& tokenizer);

}  // namespace fieldprint
