// Which tokens of a conversation are learned: those that the model would have to write, in the context in which the
// engine would ask it to. For each turn the engine's own chat template is rendered twice: the messages before it,
// ending where the assistant is to speak, and the same with the turn. The second begins with the first; what is more,
// up to and with the token that ends an answer, is learned. Nothing is guessed from how a template looks.
//
// Turns share one example as far as a later prompt still has them as they were learned. A template that rewrites
// history (drops old thoughts, moves tools to the last message) gives an example for each such turn, so that a thought
// is learned where it was thought and is gone where it would be gone.
#pragma once

#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/tokenizer.h"
#include "train/example.h"
#include "train/rows.h"

namespace fieldprint {

struct MaskOptions {
  bool specials = false;  // texts that are not conversations may name control tokens: "<|im_end|>" is one
};

struct MaskNotes {
  int64_t turns = 0;              // that are learned
  int64_t thoughts_dropped = 0;   // turns whose reasoning the template does not write
  int64_t thoughts_unopened = 0;  // turns that are learned without the thought which the engine's prompt would open
  int64_t ended_by_eos = 0;       // turns that the template does not end: EOS was put behind
  int64_t foreign_prompts = 0;    // of teacher_examples.h: as another template than the student's wrote them
};

// A conversation's examples, each of weight; of a text the one. `chat_template` may be null for rows without messages.
// Throws RowError: kTemplate names the turn, kMasked.
std::vector<Example> mask_row(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                              const MaskOptions& options = {}, MaskNotes* notes = nullptr);

}  // namespace fieldprint
