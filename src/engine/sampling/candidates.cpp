#include "engine/sampling/candidates.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "base/math.h"

namespace fieldprint {
namespace {

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}
bool worse(const Candidate& a, const Candidate& b) { return better(b, a); }

}  // namespace

void Candidates::reset(std::span<const float> logits) {
  logits_.assign(logits.begin(), logits.end());
  items_.clear();
  whole_ = true;
  sorted_ = 0;
  heap_ = top_known_ = false;
  temperature_ = 1;
}

void Candidates::list() {
  if (!whole_) return;
  whole_ = false;
  items_.resize(logits_.size());
  for (size_t i = 0; i < logits_.size(); ++i) items_[i] = {logits_[i], static_cast<TokenId>(i)};
}

void Candidates::unsort() {
  sorted_ = 0;
  heap_ = top_known_ = false;
}

void Candidates::settle() {
  unsort();
  if (temperature_ == 1) return;
  const auto divided = [this](float logit) { return static_cast<float>(static_cast<double>(logit) / temperature_); };
  for (float& logit : logits_) logit = divided(logit);
  for (Candidate& c : items_) c.logit = divided(c.logit);
  temperature_ = 1;
}

float* Candidates::find(TokenId token) {
  settle();
  if (whole_) return static_cast<size_t>(token) < logits_.size() ? &logits_[static_cast<size_t>(token)] : nullptr;
  const auto found = std::find_if(items_.begin(), items_.end(), [&](const Candidate& c) { return c.token == token; });
  return found == items_.end() ? nullptr : &found->logit;
}

float Candidates::top() {
  if (top_known_) return top_;
  top_ = -std::numeric_limits<float>::infinity();
  if (whole_) top_ = *std::max_element(logits_.begin(), logits_.end());
  else if (sorted_ > 0) top_ = items_.back().logit;
  else if (heap_) top_ = items_.front().logit;
  else top_ = std::min_element(items_.begin(), items_.end(), better)->logit;
  top_known_ = true;
  return top_;
}

Candidate Candidates::likeliest() {
  if (!whole_) return best(0);
  const auto best = std::max_element(logits_.begin(), logits_.end());
  return {*best, static_cast<TokenId>(best - logits_.begin())};
}

std::span<const Candidate> Candidates::all() {
  list();
  return items_;
}

// The best are taken from a heap one by one: rarely are more than a few hundred needed.
void Candidates::sort(size_t count) {
  list();
  const auto heap_end = [this] { return items_.end() - static_cast<std::ptrdiff_t>(sorted_); };
  if (!heap_) std::make_heap(items_.begin(), heap_end(), worse);
  heap_ = true;
  for (; sorted_ < count; ++sorted_) std::pop_heap(items_.begin(), heap_end(), worse);
}

const Candidate& Candidates::best(size_t rank) {
  assert(rank < size());
  if (rank >= sorted_) sort(rank + 1);
  return items_[items_.size() - 1 - rank];
}

void Candidates::keep_best(size_t count) {
  assert(count > 0);
  if (count >= size()) return;
  sort(count);
  items_.erase(items_.begin(), items_.end() - static_cast<std::ptrdiff_t>(count));
  sorted_ = count;
}

void Candidates::drop_best(size_t count) {
  assert(count < size());
  sort(count);
  items_.resize(items_.size() - count);
  sorted_ -= count;
  top_known_ = false;
}

void Candidates::keep_top(size_t count) {
  list();
  if (count >= items_.size()) return;
  if (sorted_ >= count) return keep_best(count);
  std::nth_element(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(count), items_.end(), better);
  items_.resize(count);
  sorted_ = 0;
  heap_ = false;
}

void Candidates::divide(double temperature) { temperature_ *= temperature; }

double Candidates::weight(const Candidate& candidate) {
  return exp_f64(static_cast<double>(candidate.logit - top()) / temperature_);
}

double Candidates::total_weight() {
  double total = 0;
  for (const Candidate& c : all()) total += weight(c);
  return total;
}

}  // namespace fieldprint
