// The `loop` of a running for statement, and what builtins ask of the interpreter.
#pragma once

#include <ctime>
#include <optional>

#include "base/rng.h"
#include "jinja/operators.h"
#include "jinja/value.h"

namespace fieldprint::jinja {

struct ForStatement;
struct MacroStatement;

// The variables of one running function: the template, a macro's body, a recursive loop's body.
struct Activation {
  Activation* parent;  // of the function that encloses it in the source
  Value* slots;
};

struct Macro {
  std::string_view name;  // empty: a call block's body
  const MacroStatement* statement;
  Activation* closure;
};

// What builtins may ask of the interpreter that runs them.
class Runtime {
 public:
  Runtime(Heap& heap_, std::time_t now_) : heap(heap_), now(now_) {}
  virtual ~Runtime() = default;
  virtual Value call(Value callee, const Args& args) = 0;
  virtual bool passes(const Loop& loop, Value& item) = 0;  // the `if` of a for statement
  virtual Value recurse(const Loop& loop, Value iterable) = 0;

  Heap& heap;
  const std::time_t now;
  Rng random{1};  // of the filter `random`: the same for every rendering
};

struct Loop {
  Runtime* runtime;
  const ForStatement* statement;
  Activation* activation;
  Value iterable;
  Iteration source;
  bool source_passed = false;  // what source still gives has passed the test already
  int64_t depth0 = 0;
  int64_t index0 = -1;
  std::optional<int64_t> length = std::nullopt;
  Value current = {}, before = {};
  Value after = {};         // read ahead, by `last` and `nextitem`
  Value last_changed = {};  // what changed() saw, a tuple
};

bool advance_loop(Loop& loop, Value& item);
int64_t loop_length(Heap& heap, Loop& loop);
Value loop_attribute(Runtime& runtime, Loop& loop, std::string_view name);  // missing where there is none

}  // namespace fieldprint::jinja
