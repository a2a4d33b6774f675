// Reverse-mode differentiation of one step (Linnainmaa 1976). While an executor has a tape, each op does what it always
// does and leaves its backward here; backward() plays them from the last to the first. So the forward pass is the
// executor's own, bit for bit. Where it rounds (activations in 8 bits, keys and values in pages), gradients pass as if
// it had not (straight-through; Bengio et al. 2013).
//
// Gradients are in the executor's number: float32 of `run`, float64 of `reference`. Each sum has one order, so they are
// the same bits for any number of threads. One step at a time, from one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <vector>

#include "ops/tensor.h"
#include "ops/weight.h"

namespace fieldprint {

// A value of the step: the tensor that held it may be gone.
struct Node {
  int slot = -1;
  int rows = 0;
  int64_t cols = 0;

  int64_t size() const { return rows * cols; }
};

template <class Number>
class Tape {
 public:
  // `arena` is that of the executor whose tape it becomes, and outlives it.
  explicit Tape(TensorArena& arena) : arena_(arena) {}

  // A weight that is trained: float32 values [count], as ops see them. backward() adds to `gradient` [count]. Both
  // outlive the tape, and values of two weights do not overlap.
  void train(const float* values, int64_t count, Number* gradient);

  // Experts are to be chosen equally often: from here on backward() adds the gradients of
  //   coefficient * experts * sum over experts of (share of the choices) * (mean over tokens of its probability)
  // of each mixture of experts of a step that y depends on, whatever the seed (Fedus et al. 2022, equation 4). The
  // probability is softmax(r) of the router's scores r or, where gating is by sigmoid, an expert's share of their sum
  // (DeepSeek-AI 2024). A share of the choices has no gradient. 0: nothing is added.
  void balance_experts(double coefficient) { balance_ = coefficient; }

  void begin();  // what ops do is recorded from here on
  // The gradients of sum over i of seed[i] * y[i] by what is trained are added to theirs; then all is forgotten, as by
  // discard(). Without `seed` it is 1 everywhere.
  void backward(const Tensor& y, const Number* seed = nullptr);
  void discard();

  // ---- For the ops, while they do their forward.

  // Whether anything trained is behind one of these: else a backward is not wanted.
  bool reaches(std::initializer_list<const Tensor*> inputs, std::initializer_list<const Weight*> weights = {}) const;
  bool trains(const Weight& w) const { return find(w) != nullptr; }
  // The values stay as they are until backward() is over.
  Node keep(const Tensor& x);
  static Node node(const Tensor& x) { return {x.slot_, x.rows_, x.cols_}; }
  // `play` adds to the gradients of what y was made from; it is called where somebody has added to y's. An op that
  // writes y in place records what that adds beside y itself, or changes y's gradient into that of what y was before.
  void record(const Tensor& y, std::function<void()> play);
  bool kept(const Tensor& x) const { return arena_.slot(x.slot_).kept; }

  // ---- For the ops' backward.

  const Number* values(const Node& x) const {
    return reinterpret_cast<const Number*>(arena_.slot(x.slot).values.data());
  }
  bool wants(const Node& x) { return of(x.slot).live; }  // else nobody will look at its gradient
  Number* gradient(const Node& x);                       // [rows, cols]; zeros when first asked for
  Number* gradient(const Weight& w);                     // [rows, cols] of it; nullptr: it is not trained
  double balance() const { return balance_; }            // coefficient of balance_experts()

 private:
  struct Trained {
    const float* values;
    int64_t count;
    Number* gradient;
  };
  struct Recorded {
    Node y;
    std::function<void()> play;
  };
  struct Gradient {
    AlignedBuffer values;
    bool there = false;
    bool live = false;  // something trained is behind the value
    int first = -1;     // of the records that make the value, the first
  };
  const Trained* find(const Weight& w) const;
  Gradient& of(int slot);
  void give_back(Gradient& gradient);

  TensorArena& arena_;
  double balance_ = 0;
  std::vector<Trained> trained_;  // by address
  std::vector<Recorded> records_;
  std::vector<Gradient> gradients_;   // by slot
  std::vector<AlignedBuffer> spare_;  // memory of gradients that are done with
};

}  // namespace fieldprint
