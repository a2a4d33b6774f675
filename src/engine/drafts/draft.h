// One way to guess what comes next in one answer. A guess may be anything: it costs time, never a bit of the answer.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

class Stepper;

class Draft {
 public:
  virtual ~Draft() = default;
  // What is there is `history`: that of the call before, and what has come since. Takes in at most `most` more tokens
  // of it where that is work; true: all, and it may guess.
  virtual bool read(std::span<const TokenId> history, int most) = 0;
  // Appends to `tokens` at most `most` that may follow `history`, which was read.
  virtual void guess(std::span<const TokenId> history, int most, std::vector<TokenId>* tokens) = 0;
};

// `model`: steps of the draft model; null where there is none.
struct DraftRow {
  std::string_view name;
  bool needs_model;
  std::unique_ptr<Draft> (*make)(const std::shared_ptr<Stepper>& model);
};
std::span<const DraftRow> drafts();  // the rows of drafts.def

}  // namespace fieldprint
