#include "ops/tape.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace fieldprint {

template <class Number>
void Tape<Number>::train(const float* values, int64_t count, Number* gradient) {
  const auto behind =
      std::find_if(trained_.begin(), trained_.end(), [&](const Trained& t) { return t.values > values; });
  trained_.insert(behind, {values, count, gradient});
}

template <class Number>
auto Tape<Number>::find(const Weight& w) const -> const Trained* {
  const auto* at = reinterpret_cast<const float*>(w.data);
  const auto behind = std::upper_bound(trained_.begin(), trained_.end(), at,
                                       [](const float* p, const Trained& t) { return p < t.values; });
  if (behind == trained_.begin()) return nullptr;
  const Trained& found = behind[-1];
  return at < found.values + found.count ? &found : nullptr;
}

template <class Number>
Number* Tape<Number>::gradient(const Weight& w) {
  const Trained* found = find(w);
  return found != nullptr ? found->gradient + (w.floats() - found->values) : nullptr;
}

template <class Number>
auto Tape<Number>::of(int slot) -> Gradient& {
  if (static_cast<size_t>(slot) >= gradients_.size()) gradients_.resize(static_cast<size_t>(slot) + 1);
  return gradients_[static_cast<size_t>(slot)];
}

template <class Number>
void Tape<Number>::begin() {
  arena_.record();
}

template <class Number>
bool Tape<Number>::reaches(std::initializer_list<const Tensor*> inputs,
                           std::initializer_list<const Weight*> weights) const {
  return std::any_of(inputs.begin(), inputs.end(),
                     [&](const Tensor* x) {
                       const auto slot = static_cast<size_t>(x->slot_);
                       return slot < gradients_.size() && gradients_[slot].live;
                     }) ||
         std::any_of(weights.begin(), weights.end(), [&](const Weight* w) { return w->given() && trains(*w); });
}

template <class Number>
Node Tape<Number>::keep(const Tensor& x) {
  arena_.slot(x.slot_).kept = true;
  return node(x);
}

template <class Number>
void Tape<Number>::record(const Tensor& y, std::function<void()> play) {
  Gradient& gradient = of(y.slot_);
  gradient.live = true;
  if (gradient.first < 0) gradient.first = static_cast<int>(records_.size());
  records_.push_back({node(y), std::move(play)});
}

template <class Number>
Number* Tape<Number>::gradient(const Node& x) {
  Gradient& gradient = of(x.slot);
  const size_t bytes = static_cast<size_t>(x.size()) * sizeof(Number);
  if (!gradient.there) {
    // The smallest that fits; else the largest grows.
    auto best = spare_.end();
    for (auto it = spare_.begin(); it != spare_.end(); ++it) {
      const bool fits = it->capacity() >= bytes, best_fits = best != spare_.end() && best->capacity() >= bytes;
      if (best == spare_.end() || (fits == best_fits ? (it->capacity() < best->capacity()) == fits : fits)) best = it;
    }
    if (best != spare_.end()) {
      gradient.values = std::exchange(*best, {});
      spare_.erase(best);
    }
    auto* values = reinterpret_cast<Number*>(gradient.values.require(bytes));
    std::fill_n(values, x.size(), Number{0});
    gradient.there = true;
  }
  return reinterpret_cast<Number*>(gradient.values.data());
}

template <class Number>
void Tape<Number>::give_back(Gradient& gradient) {
  if (gradient.values.capacity() > 0) spare_.push_back(std::exchange(gradient.values, {}));
  gradient.there = false;
}

template <class Number>
void Tape<Number>::backward(const Tensor& y, const Number* seed) {
  const Node end = node(y);
  if (of(end.slot).live) {
    if (seed != nullptr) std::copy_n(seed, end.size(), gradient(end));
    else std::fill_n(gradient(end), end.size(), Number{1});
  }
  for (size_t i = records_.size(); i-- > 0;) {
    const Node at = records_[i].y;
    if (of(at.slot).there) records_[i].play();
    if (of(at.slot).first == static_cast<int>(i)) give_back(of(at.slot));
    records_[i].play = nullptr;
  }
  discard();
}

template <class Number>
void Tape<Number>::discard() {
  records_.clear();
  for (Gradient& gradient : gradients_) {
    give_back(gradient);
    gradient.live = false;
    gradient.first = -1;
  }
  arena_.forget();
}

template class Tape<float>;
template class Tape<double>;

}  // namespace fieldprint
