// The tokens among which the next one is chosen. At first these are all, their logits where the model left them; the
// first stage that cuts makes a list of them, which is sorted only as far as somebody asks for the best.
#pragma once

#include <span>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct Candidate {
  float logit;
  TokenId token;
};

class Candidates {
 public:
  void reset(std::span<const float> logits);  // [vocabulary]: each token is a candidate

  size_t size() const { return whole_ ? logits_.size() : items_.size(); }
  float top();            // the largest logit; -infinity where every candidate is banned
  Candidate likeliest();  // ties go to the lower token

  // ---- For stages that change logits.

  float* find(TokenId token);  // its logit, or nullptr where it is no candidate. What was sorted no longer is.
  template <class Change>      // change(token, logit&) for every candidate
  void change_all(Change change) {
    settle();
    if (whole_) {
      for (size_t i = 0; i < logits_.size(); ++i) change(static_cast<TokenId>(i), logits_[i]);
    } else {
      for (Candidate& c : items_) change(c.token, c.logit);
    }
  }

  // ---- For stages that cut.

  std::span<const Candidate> all();    // in no particular order
  const Candidate& best(size_t rank);  // rank < size(); ties go to the lower token. Places of all() change.
  void keep_best(size_t count);        // at least 1
  void drop_best(size_t count);        // fewer than size()
  void keep_top(size_t count);         // as keep_best, in time linear in size(), and leaves them unsorted
  template <class Keep>                // the others' order stays
  void keep_if(Keep keep) {
    list();
    unsort();
    std::erase_if(items_, [&](const Candidate& c) { return !keep(c); });
  }

  // ---- Probabilities.

  // Later weights are those of logits divided by `temperature`, more than 0.
  void divide(double temperature);
  // e^((logit - top) / temperature): what the probability is proportional to; of the best it is 1.
  double weight(const Candidate& candidate);
  double total_weight();  // in the order of all()

 private:
  void list();  // leaves the state in which all are candidates
  void unsort();
  void settle();  // for who changes logits: unsorted, and the temperature is part of them
  void sort(size_t count);

  bool whole_ = true;             // the candidates are logits_, not items_
  std::vector<float> logits_;     // [vocabulary]
  std::vector<Candidate> items_;  // a heap, then the sorted_ best, the best last
  size_t sorted_ = 0;
  bool heap_ = false;  // or the rest is in no order
  bool top_known_ = false;
  float top_ = 0;
  double temperature_ = 1;
};

}  // namespace fieldprint
