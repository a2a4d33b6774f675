// Log-likelihoods of continuations. What a document's requests begin with alike is computed once, and each goes on from
// a fork of it; many documents share each step. None of this changes a bit of the result.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/stepper.h"
#include "eval/requests.h"

namespace fieldprint {

struct RequestScore {
  double log_likelihood = 0;  // nats: the sum over the continuation's tokens, in double
  bool greedy = true;         // each of them is the most likely one; ties go to the lower token
};

struct ScoreWork {
  uint64_t tokens_computed = 0;  // that passed the model
  uint64_t tokens_read = 0;      // that would have, with each request read by itself
};

// One thread at a time.
class LikelihoodScorer {
 public:
  // Throws as Stepper.
  LikelihoodScorer(std::shared_ptr<const LoadedModel> model, const SessionOptions& options);

  int most() const { return stepper_->context(); }  // tokens of a request without its last one

  // `documents`: each one's requests, in the order of the calls done(document, scores of its requests). Where it
  // returns false, what is under way ends and the rest is left. Throws Error kBadFile for logits that are not finite.
  void score(std::span<const std::vector<ScoreRequest>> documents,
             const std::function<bool(size_t document, std::span<const RequestScore>)>& done);

  const ScoreWork& work() const { return work_; }

 private:
  struct Row;
  struct Job;
  void run(std::vector<Job>& jobs);
  void read(std::span<const float> logits, std::span<const Row* const> rows);

  std::shared_ptr<Stepper> stepper_;
  ScoreWork work_;
};

}  // namespace fieldprint
