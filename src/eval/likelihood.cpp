#include "eval/likelihood.h"

#include <algorithm>
#include <atomic>

#include "engine/finite.h"
#include "engine/logprobs.h"

namespace fieldprint {
namespace {

using Tokens = std::vector<TokenId>;

// What passes the model for a request: all but the last token of the continuation.
Tokens inputs_of(const ScoreRequest& request) {
  Tokens inputs = request.context;
  inputs.insert(inputs.end(), request.continuation.begin(), request.continuation.end() - 1);
  return inputs;
}

size_t common_size(const Tokens& a, const Tokens& b, size_t most) {
  const size_t end = std::min({a.size(), b.size(), most});
  size_t size = 0;
  while (size < end && a[size] == b[size]) ++size;
  return size;
}

struct Scored {
  std::vector<Tokens> inputs;  // of each request
  size_t trunk = 0;            // so many of their first tokens are the same, and none of them is scored
  std::vector<RequestScore> scores;
};

Scored prepare(const std::vector<ScoreRequest>& requests) {
  Scored document;
  document.scores.resize(requests.size());
  for (const ScoreRequest& request : requests) {
    document.inputs.push_back(inputs_of(request));
    const size_t most = document.inputs.size() == 1 ? request.context.size() : document.trunk;
    document.trunk = common_size(document.inputs[0], document.inputs.back(), std::min(most, request.context.size()));
  }
  return document;
}

}  // namespace

// What is read from the logits behind one token.
struct LikelihoodScorer::Row {
  struct Target {
    TokenId token;
    RequestScore* score;
  };
  std::vector<Target> targets;
};

// Tokens that a sequence is to take, in one step or several, and the rows that are wanted: of the tokens from `first`
// on, one each.
struct LikelihoodScorer::Job {
  Sequence* sequence;
  std::span<const TokenId> tokens;
  size_t first;
  std::vector<Row> rows;
  size_t done = 0;
};

LikelihoodScorer::LikelihoodScorer(std::shared_ptr<const LoadedModel> model, const SessionOptions& options)
    : stepper_(std::make_shared<Stepper>(std::move(model), options)) {}

void LikelihoodScorer::read(std::span<const float> logits, std::span<const Row* const> rows) {
  struct Reading {
    double sum;
    TokenId likeliest;
  };
  const auto vocabulary = rows.empty() ? 0 : logits.size() / rows.size();
  std::vector<Reading> readings(rows.size());
  std::atomic<bool> finite = true;
  stepper_->model().pool().run(static_cast<int64_t>(rows.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    if (rows[at] == nullptr) return;
    const auto row = logits.subspan(at * vocabulary, vocabulary);
    if (!all_finite(row)) {
      finite = false;
      return;
    }
    readings[at] = {log_sum_exp_f64(row), static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin())};
  });
  if (!finite) throw NotFinite();
  // Rows come in the order of a request's tokens, so that its sum has one order too.
  for (size_t at = 0; at < rows.size(); ++at) {
    if (rows[at] == nullptr) continue;
    for (const Row::Target& target : rows[at]->targets) {
      const float logit = logits[at * vocabulary + static_cast<size_t>(target.token)];
      target.score->log_likelihood += static_cast<double>(logit) - readings[at].sum;
      target.score->greedy = target.score->greedy && readings[at].likeliest == target.token;
    }
  }
}

void LikelihoodScorer::run(std::vector<Job>& jobs) {
  constexpr size_t kFewRows = 8;  // unwanted rows of logits that are cheaper than a step of their own
  const auto chunk = static_cast<size_t>(stepper_->chunk()), most_rows = static_cast<size_t>(stepper_->chunk_of_rows());
  for (;;) {
    std::vector<StepPart> parts;
    std::vector<const Row*> rows;
    size_t room = chunk, row_room = most_rows;
    for (Job& job : jobs) {
      const size_t left = job.tokens.size() - job.done;
      if (left == 0 || room == 0) continue;
      size_t count = std::min(left, room);
      StepPart part{job.sequence, {}, LogitRows::kNone};
      const bool last_alone = job.first + 1 == job.tokens.size();
      if (last_alone && count == left && !job.rows.empty()) {
        if (row_room == 0) continue;
        part.rows = LogitRows::kLast;
        rows.push_back(&job.rows[0]);
        --row_room;
      } else if (!last_alone && job.done + count > job.first && !job.rows.empty()) {
        const size_t unwanted = job.first > job.done ? job.first - job.done : 0;
        if (unwanted > kFewRows || row_room <= unwanted) {
          count = unwanted;
          if (count == 0) continue;
        } else {
          count = std::min(count, row_room);
          part.rows = LogitRows::kAll;
          for (size_t i = 0; i < count; ++i)
            rows.push_back(i < unwanted ? nullptr : &job.rows[job.done + i - job.first]);
          row_room -= count;
        }
      }
      part.added = job.tokens.subspan(job.done, count);
      parts.push_back(part);
      job.done += count;
      room -= count;
      work_.tokens_computed += count;
    }
    if (parts.empty()) return;
    try {
      stepper_->step(parts, [&](std::span<const float> logits) { read(logits, rows); });
    } catch (const NotFinite&) {
      Tokens tokens = parts[0].sequence->tokens;
      tokens.insert(tokens.end(), parts[0].added.begin(), parts[0].added.end());
      throw not_finite_error(stepper_->shared_model(), stepper_->options(), tokens);
    }
  }
}

void LikelihoodScorer::score(std::span<const std::vector<ScoreRequest>> documents,
                             const std::function<bool(size_t, std::span<const RequestScore>)>& done) {
  constexpr size_t kLeastRoot = 16;  // tokens that all documents begin with and that are worth a fork
  std::vector<Scored> all;
  for (const auto& requests : documents) {
    all.push_back(prepare(requests));
    for (const Tokens& inputs : all.back().inputs) work_.tokens_read += inputs.size();
  }
  if (all.empty()) return;

  // What all documents begin with: a system's message, the same examples. One token of each trunk is left, whose
  // logits are wanted.
  const auto before_last = [](const Scored& document) { return document.trunk > 0 ? document.trunk - 1 : 0; };
  size_t root_size = all.size() > 1 ? before_last(all[0]) : 0;
  for (const Scored& document : all)
    root_size = common_size(all[0].inputs[0], document.inputs[0], std::min(root_size, before_last(document)));
  if (root_size < kLeastRoot) root_size = 0;
  Sequence root = stepper_->begin();
  if (root_size > 0) {
    std::vector<Job> jobs;
    jobs.push_back({&root, std::span(all[0].inputs[0]).first(root_size), root_size, {}});
    run(jobs);
  }
  const auto start = [&] {
    return root_size > 0 ? stepper_->fork(root, static_cast<int>(root_size)) : stepper_->begin();
  };

  const auto chunk = static_cast<size_t>(stepper_->chunk());
  for (size_t begin = 0; begin < all.size();) {
    // As many documents as fill a step with their trunks.
    size_t end = begin, tokens = 0;
    do tokens += all[end].trunk - std::min(all[end].trunk, root_size) + 1;
    while (++end < all.size() && tokens + all[end].trunk <= chunk + root_size);

    std::vector<Sequence> trunks, forks;
    trunks.reserve(end - begin);
    std::vector<Job> jobs;
    for (size_t d = begin; d < end; ++d) {
      trunks.push_back(start());
      const Scored& document = all[d];
      if (document.trunk <= root_size) continue;
      Job job{&trunks.back(),
              std::span(document.inputs[0]).subspan(root_size, document.trunk - root_size),
              document.trunk - root_size - 1,
              {}};
      Row row;
      for (size_t r = 0; r < document.inputs.size(); ++r)
        if (documents[d][r].context.size() == document.trunk)
          row.targets.push_back({documents[d][r].continuation[0], &all[d].scores[r]});
      if (!row.targets.empty()) job.rows.push_back(std::move(row));
      jobs.push_back(std::move(job));
    }
    run(jobs);

    jobs.clear();
    size_t requests = 0;
    for (size_t d = begin; d < end; ++d) requests += all[d].inputs.size();
    forks.reserve(requests);
    for (size_t d = begin; d < end; ++d) {
      for (size_t r = 0; r < all[d].inputs.size(); ++r) {
        const ScoreRequest& request = documents[d][r];
        const auto own = std::span<const TokenId>(all[d].inputs[r]).subspan(all[d].trunk);
        if (own.empty()) continue;
        forks.push_back(stepper_->fork(trunks[d - begin], static_cast<int>(all[d].trunk)));
        const bool told = request.context.size() == all[d].trunk;  // the first token was read behind the trunk
        Job job{&forks.back(), own, told ? 0 : request.context.size() - all[d].trunk - 1, {}};
        for (size_t i = told ? 1 : 0; i < request.continuation.size(); ++i)
          job.rows.push_back({{{request.continuation[i], &all[d].scores[r]}}});
        jobs.push_back(std::move(job));
      }
    }
    run(jobs);
    for (size_t d = begin; d < end; ++d)
      if (!done(d, all[d].scores)) return;
    begin = end;
  }
}

}  // namespace fieldprint
