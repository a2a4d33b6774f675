#include "jinja/loop.h"

#include "jinja/ast.h"

namespace fieldprint::jinja {
namespace {

bool next_passing(Loop& loop, Value& item) {
  while (loop.source.next(item)) {
    loop.runtime->heap.step();
    if (!loop.statement->test || loop.source_passed || loop.runtime->passes(loop, item)) return true;
  }
  return false;
}

Value peek(Loop& loop) {
  Value item;
  if (loop.after.is_missing() && next_passing(loop, item)) loop.after = item;
  return loop.after;
}

Value cycle(Runtime&, Value self, const Args& args) {
  if (args.positional.empty()) fail("no items for cycling given");
  return args.positional[static_cast<size_t>(self.loop().index0) % args.positional.size()];
}

Value changed(Runtime& runtime, Value self, const Args& args) {
  Loop& loop = self.loop();
  const Value now = make_tuple(runtime.heap, args.positional);
  if (!loop.last_changed.is_missing() && equal(runtime.heap, loop.last_changed, now)) return Value::boolean(false);
  loop.last_changed = now;
  return Value::boolean(true);
}

}  // namespace

bool advance_loop(Loop& loop, Value& item) {
  if (!loop.after.is_missing()) {
    item = loop.after;
    loop.after = Value();
  } else if (!next_passing(loop, item)) {
    return false;
  }
  ++loop.index0;
  loop.before = loop.current;
  loop.current = item;
  return true;
}

int64_t loop_length(Heap& heap, Loop& loop) {
  if (loop.length) return *loop.length;
  if (!loop.statement->test) loop.length = length_of(loop.iterable);
  if (!loop.length) {  // what has no size is read to its end
    auto* rest = heap.make<std::pmr::vector<Value>>(&heap);
    for (Value item; next_passing(loop, item);) rest->push_back(item);
    loop.length = static_cast<int64_t>(rest->size()) + loop.index0 + 1 + !loop.after.is_missing();
    loop.source = Iteration(heap, make_iterator(heap, "list_iterator", *rest));
    loop.source_passed = true;
  }
  return *loop.length;
}

Value loop_attribute(Runtime& runtime, Loop& loop, std::string_view name) {
  Heap& heap = runtime.heap;
  const auto method = [&](std::string_view method_name, MethodFunction function) -> Value {
    return heap.make<BoundMethod>(method_name, Value(&loop), function);
  };
  if (name == "index0") return Value::integer(loop.index0);
  if (name == "index") return Value::integer(loop.index0 + 1);
  if (name == "first") return Value::boolean(loop.index0 == 0);
  if (name == "last") return Value::boolean(peek(loop).is_missing());
  if (name == "length") return Value::integer(loop_length(heap, loop));
  if (name == "revindex") return Value::integer(loop_length(heap, loop) - loop.index0);
  if (name == "revindex0") return Value::integer(loop_length(heap, loop) - loop.index0 - 1);
  if (name == "depth") return Value::integer(loop.depth0 + 1);
  if (name == "depth0") return Value::integer(loop.depth0);
  if (name == "previtem") return loop.index0 == 0 ? make_undefined(heap, "there is no previous item") : loop.before;
  if (name == "nextitem") {
    const Value next = peek(loop);
    return next.is_missing() ? make_undefined(heap, "there is no next item") : next;
  }
  if (name == "cycle") return method("cycle", cycle);
  if (name == "changed") return method("changed", changed);
  return Value();
}

}  // namespace fieldprint::jinja
