// Takes the times of a step's ops: what `--profile` shows. Scopes nest; what an inner one takes is not the outer one's.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string_view>
#include <tuple>
#include <vector>

#include "fieldprint/profile.h"

namespace fieldprint {

// What an executor has done since it began.
struct Work {
  uint64_t bytes = 0;  // of weights, keys and values
  uint64_t int8_operations = 0, float_operations = 0;

  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    int8_operations += other.int8_operations;
    float_operations += other.float_operations;
    return *this;
  }
};

class Profiler final : public Profile {
 public:
  // `op` is a literal; `weight` is a name from the model file ("blk.3.ffn_down.weight"), of which the layer is taken
  // too. Without a layer it is that of the op before. `weights`: how many matrices at once.
  void enter(const char* op, std::string_view weight, int layer, size_t weights, const Work& work);
  void leave(const Work& work);
  void phase(bool prefill) { phase_ = prefill ? "prefill" : "decode"; }
  void forget_layer() { layer_ = -1; }

  void clear() override;
  std::vector<ProfileRow> by_op() const override;
  std::vector<ProfileRow> by_layer() const override;
  std::string trace() const override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Open {
    const char* op;
    std::string_view stem;
    int layer;
    size_t weights;
    Clock::time_point begin;
    Work work;
    double inner_seconds = 0;
    Work inner;
  };
  struct Sum {
    uint64_t calls = 0;
    double seconds = 0;
    Work work;
  };
  struct Event {
    const char* phase;
    const char* op;
    std::string_view stem;
    int layer;
    size_t weights;
    double begin, seconds;  // since begin_
    double own_seconds;
    Work work, own;
  };
  using Key = std::tuple<std::string_view, std::string_view, std::string_view, size_t, int>;  // phase op stem n layer

  using Sums = std::map<Key, Sum>;

  static void add(const Event& event, Sums& sums);
  std::vector<ProfileRow> rows(bool by_layer) const;

  const char* phase_ = "prefill";
  int layer_ = -1;
  Clock::time_point begin_ = Clock::now();
  std::vector<Open> open_;
  std::deque<Event> events_;  // summed when asked for: a step is not to wait for that
  Sums sums_;                 // of what came after the last event that is kept
};

}  // namespace fieldprint
