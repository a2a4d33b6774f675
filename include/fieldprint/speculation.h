// Drafts: tokens that are guessed first and then checked several in one step, which takes less time than a step each.
// A guess counts only where it is the token that the answer's own sampler takes from the logits at its place, and a
// step of several tokens has the bits of single steps: the answer is the same with and without, sampled ones too.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace fieldprint {

class Model;

// "ngram": what followed the last tokens when they stood in the context before. "model": what another model of the same
// vocabulary, a smaller one, would say.
std::vector<std::string> draft_names();

struct Speculation {
  // "off", one of draft_names(), or "auto": drafts of the model where there is one, else n-grams, as long as the time
  // that they take pays. What they may lose is bounded by about 1 % of the time spent.
  std::string drafts = "off";
  int max_tokens = 16;                           // drafted for a step, for one answer
  std::shared_ptr<const Model> model = nullptr;  // of the drafts
};

}  // namespace fieldprint
