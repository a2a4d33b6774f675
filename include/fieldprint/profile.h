// Where the time of steps goes: given to sessions by their options.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fieldprint {

// Where the time of steps went. An op's own time, bytes and operations: those of ops inside it are their own rows.
struct ProfileRow {
  std::string phase;  // "prefill": steps that carried more than one token of a sequence; "decode": the others
  std::string op;     // "linear ffn_down", "attend" ...; "step" is what no op accounts for
  int layer = -1;     // -1: of none, or of all in by_op()
  uint64_t calls = 0;
  double seconds = 0;
  uint64_t bytes = 0;                                  // weights, keys and values read
  uint64_t int8_operations = 0, float_operations = 0;  // a product and a sum are two
};

// Given to sessions by their options; one step at a time may write to it.
class Profile {
 public:
  static std::shared_ptr<Profile> create();
  virtual ~Profile() = default;
  virtual void clear() = 0;
  virtual std::vector<ProfileRow> by_op() const = 0;     // phase by phase, the longest first
  virtual std::vector<ProfileRow> by_layer() const = 0;  // phase by phase, op is empty
  virtual std::string trace() const = 0;                 // every op in Chrome's trace event format (JSON)
};

}  // namespace fieldprint
