// Where the time of steps goes. Make one with Profile::create() and give it to sessions by SessionOptions::profile.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fieldprint {

// An op's own time, bytes and operations; ops inside it have rows of their own.
struct ProfileRow {
  std::string phase;  // "prefill": steps that carry more than one token of a sequence; "decode": the others
  std::string op;     // "linear ffn_down", "attend" ...; "step" is the rest, which no op accounts for
  int layer = -1;     // -1: of none, or of all in by_op()
  uint64_t calls = 0;
  double seconds = 0;
  uint64_t bytes = 0;                                  // weights, keys and values read
  uint64_t int8_operations = 0, float_operations = 0;  // a product and a sum are two
};

// Sessions of one model may share one, since their steps take turns; sessions of different models may not. No member
// may be called while a session that has it is at work. It cannot be derived from.
class Profile {
 public:
  static std::shared_ptr<Profile> create();
  virtual ~Profile() = default;
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  virtual void clear() = 0;                              // begins anew
  virtual std::vector<ProfileRow> by_op() const = 0;     // phase by phase, the longest first
  virtual std::vector<ProfileRow> by_layer() const = 0;  // phase by phase in the layers' order; op is empty
  // Every op in Chrome's trace event format (JSON), for https://ui.perfetto.dev; the first million or so.
  virtual std::string trace() const = 0;

 private:
  friend class Profiler;  // the one implementation
  Profile() = default;
};

}  // namespace fieldprint
