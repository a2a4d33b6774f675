#include "jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/builtins.h"
#include "jinja/repr.h"

namespace fieldprint::jinja {
namespace {

// Sets a variable for as long as it lives.
template <class T>
class Scoped {
 public:
  Scoped(T& place, T value) : place_(place), old_(std::exchange(place, value)) {}
  ~Scoped() { place_ = old_; }
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;

 private:
  T& place_;
  T old_;
};

}  // namespace

const TextBuilder& Interpreter::run(const Dict& variables) {
  for (const std::string_view name : program_.context_names) {
    if (const Value* value = variables.find(name)) context_.push_back(*value);
    else if (const Function* global = find_global(name)) context_.push_back(global);
    else context_.emplace_back();
  }
  Activation root{nullptr, heap.make_array<Value>(program_.slot_count)};
  current_ = &root;
  enter(program_.entry);
  run_block(program_.body);
  return out_;
}

// Statements.

Interpreter::Flow Interpreter::run_block(const Block& block) {
  const Nesting nesting(heap);
  for (const Statement* statement : block) {
    const Flow flow = run_statement(*statement);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement) {
  heap.step();
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kText:
      emit(static_cast<const TextStatement&>(statement).text);
      break;
    case StatementKind::kPrint:
      print(eval(*static_cast<const PrintStatement&>(statement).expr));
      break;
    case StatementKind::kSet: {
      const auto& set = static_cast<const SetStatement&>(statement);
      check_namespaces(*set.target);
      assign(*set.target, eval(*set.value));
      break;
    }
    case StatementKind::kSetBlock:
      run_set_block(static_cast<const SetBlockStatement&>(statement));
      break;
    case StatementKind::kIf:
      return run_if(static_cast<const IfStatement&>(statement));
    case StatementKind::kFor:
      return run_for(static_cast<const ForStatement&>(statement));
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kMacro: {
      const auto& macro = static_cast<const MacroStatement&>(statement);
      slot(macro.target->ref) = make_macro(macro);
      break;
    }
    case StatementKind::kCallBlock:
      run_call_block(static_cast<const CallBlockStatement&>(statement));
      break;
    case StatementKind::kFilterBlock:
      run_filter_block(static_cast<const FilterBlockStatement&>(statement));
      break;
    case StatementKind::kWith:
    case StatementKind::kGeneration:
      return run_with(static_cast<const WithStatement&>(statement));
  }
  return Flow::kNext;
}

void Interpreter::emit(std::string_view text) {
  heap.charge(text.size());
  heap.scan(text.size());
  out_.literal(text);
}

void Interpreter::print(Value value) {
  const size_t before = out_.size();
  if (value.is_string()) heap.scan(value.str().size);
  append_str(heap, out_, value);
  heap.charge(out_.size() - before);
}

Value Interpreter::capture(size_t mark) { return out_.cut(mark); }

void Interpreter::run_set_block(const SetBlockStatement& set) {
  const size_t mark = out_.size();
  enter(set.entry);
  run_block(set.body);
  const Value text = capture(mark);
  assign(*set.target, set.filter ? eval_filter_chain(*set.filter, text) : text);
}

Interpreter::Flow Interpreter::run_if(const IfStatement& choice) {
  for (const auto& [test, body] : choice.branches) {
    if (truthy(eval(*test))) return run_block(body);
  }
  return run_block(choice.otherwise);
}

Interpreter::Flow Interpreter::run_for(const ForStatement& statement) {
  const Value iterable = eval(*statement.iterable);
  if (!statement.recursive) return run_loop(statement, iterable, 0);
  auto* own = heap.make<Activation>(current_, heap.make_array<Value>(statement.slot_count));
  const Scoped<Activation*> inside(current_, own);
  return run_loop(statement, iterable, 0);
}

// A `break` or `continue` below the loop's `else` is for the loop around it.
Interpreter::Flow Interpreter::run_loop(const ForStatement& statement, Value iterable, int64_t depth0) {
  const bool plain = !statement.uses_loop && !statement.test;
  const bool any = plain ? run_plain_loop(statement, iterable) : run_extended_loop(statement, iterable, depth0);
  if (any || statement.otherwise.empty()) return Flow::kNext;
  enter(statement.otherwise_entry);
  return run_block(statement.otherwise);
}

// Both say whether there was an iteration that came to its end, which is what `else` asks.

bool Interpreter::run_plain_loop(const ForStatement& statement, Value iterable) {
  Iteration iteration(heap, iterable);
  bool any = false;
  for (Value item; iteration.next(item);) {
    heap.step();
    assign(*statement.target, item);
    enter(statement.body_entry);
    const Flow flow = run_block(statement.body);
    if (flow == Flow::kBreak) break;
    any = any || flow == Flow::kNext;
  }
  return any;
}

bool Interpreter::run_extended_loop(const ForStatement& statement, Value iterable, int64_t depth0) {
  Loop* loop = heap.make<Loop>(static_cast<Runtime*>(this), &statement, current_, iterable, Iteration(heap, iterable));
  loop->depth0 = depth0;
  bool any = false;
  for (Value item; advance_loop(*loop, item);) {
    heap.step();
    assign(*statement.target, item);
    if (statement.uses_loop) current_->slots[statement.loop_slot] = Value(loop);
    enter(statement.body_entry);
    const Flow flow = run_block(statement.body);
    if (flow == Flow::kBreak) break;
    any = any || flow == Flow::kNext;
  }
  return any;
}

bool Interpreter::passes(const Loop& loop, Value& item) {
  const Scoped<Activation*> inside(current_, loop.activation);
  enter(loop.statement->test_entry);
  assign(*loop.statement->test_target, item);
  if (!truthy(eval(*loop.statement->test))) return false;
  // Behind a test, several targets are a tuple, whatever they came from.
  if (loop.statement->test_target->kind == ExprKind::kTuple) item = eval(*loop.statement->test_target);
  return true;
}

Value Interpreter::recurse(const Loop& loop, Value iterable) {
  if (!loop.statement->recursive) fail("The loop must have the 'recursive' marker to be called recursively.");
  const Nesting nesting(heap);
  auto* own = heap.make<Activation>(loop.activation->parent, heap.make_array<Value>(loop.statement->slot_count));
  const Scoped<Activation*> inside(current_, own);
  const size_t mark = out_.size();
  run_loop(*loop.statement, iterable, loop.depth0 + 1);
  return capture(mark);
}

Value Interpreter::make_macro(const MacroStatement& statement) {
  return heap.make<Macro>(statement.name, &statement, current_);
}

void Interpreter::run_call_block(const CallBlockStatement& block) {
  const Value caller = make_macro(*block.body);
  print(eval_call(*block.call, &caller.macro()));
}

void Interpreter::run_filter_block(const FilterBlockStatement& block) {
  const size_t mark = out_.size();
  enter(block.entry);
  run_block(block.body);
  print(eval_filter_chain(*block.filter, capture(mark)));
}

Interpreter::Flow Interpreter::run_with(const WithStatement& with) {
  // All values are those of the scope outside.
  Value* values = heap.make_array<Value>(with.assignments.size());
  for (size_t i = 0; i < with.assignments.size(); ++i) values[i] = eval(*with.assignments[i].second);
  for (size_t i = 0; i < with.assignments.size(); ++i) assign(*with.assignments[i].first, values[i]);
  enter(with.entry);
  return run_block(with.body);
}

// Variables.

void Interpreter::enter(const ScopeEntry& entry) {
  heap.visit(entry.size());
  for (const SlotLoad& load : entry) {
    current_->slots[load.slot] = load.undefined ? Value() : slot(load.from);
  }
}

Value& Interpreter::slot(const Ref& ref) {
  if (ref.hops == Ref::kContext) return context_[ref.slot];
  Activation* activation = current_;
  for (uint32_t hop = 0; hop < ref.hops; ++hop) activation = activation->parent;
  return activation->slots[ref.slot];
}

Value Interpreter::load(const NameExpr& name) {
  const Value value = slot(name.ref);
  return value.is_missing() ? make_undefined(heap, Value(), name.name) : value;
}

// What is to get an attribute must be a namespace, before anything is evaluated.
void Interpreter::check_namespaces(const Expr& target) {
  if (target.kind == ExprKind::kNamespaceRef) {
    if (!load(*static_cast<const NamespaceRef&>(target).space).is(Kind::kNamespace)) {
      fail("cannot assign attribute on non-namespace object");
    }
  } else if (target.kind == ExprKind::kTuple) {
    for (const Expr* item : static_cast<const SequenceExpr&>(target).items) check_namespaces(*item);
  }
}

void Interpreter::assign(const Expr& target, Value value) {
  switch (target.kind) {
    case ExprKind::kName:
      slot(static_cast<const NameExpr&>(target).ref) = value;
      return;
    case ExprKind::kNamespaceRef: {
      const auto& ref = static_cast<const NamespaceRef&>(target);
      const Value space = load(*ref.space);
      if (!space.is(Kind::kNamespace)) fail("cannot assign attribute on non-namespace object");
      space.space().attributes->set(ref.attribute, value);
      return;
    }
    default:
      break;
  }
  const auto& targets = static_cast<const SequenceExpr&>(target).items;
  heap.step(targets.size());
  if (!is_iterable(value)) fail(fmt::format("cannot unpack non-iterable {} object", type_name(value)));
  Iteration iteration(heap, value);
  Value item;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!iteration.next(item)) {
      fail(fmt::format("not enough values to unpack (expected {}, got {})", targets.size(), i));
    }
    assign(*targets[i], item);
  }
  if (iteration.next(item)) fail(fmt::format("too many values to unpack (expected {})", targets.size()));
}

// Expressions.

Value Interpreter::eval(const Expr& expr) {
  heap.step();
  switch (expr.kind) {
    case ExprKind::kConst:
      return static_cast<const ConstExpr&>(expr).value;
    case ExprKind::kName:
      return load(static_cast<const NameExpr&>(expr));
    default:
      break;
  }
  const Nesting nesting(heap);
  line_ = expr.line;
  switch (expr.kind) {
    case ExprKind::kConst:
    case ExprKind::kName:
    case ExprKind::kNamespaceRef:
      break;
    case ExprKind::kList: {
      const auto items = eval_all(static_cast<const SequenceExpr&>(expr).items);
      return Value::list(heap.make<List>(items.data(), items.size()));
    }
    case ExprKind::kTuple: {
      const auto items = eval_all(static_cast<const SequenceExpr&>(expr).items);
      return Value::tuple(heap.make<List>(items.data(), items.size()));
    }
    case ExprKind::kDict:
      return eval_dict(static_cast<const DictExpr&>(expr));
    case ExprKind::kNegate:
      return negate(heap, eval(*static_cast<const UnaryExpr&>(expr).operand));
    case ExprKind::kPositive:
      return positive(heap, eval(*static_cast<const UnaryExpr&>(expr).operand));
    case ExprKind::kNot:
      return Value::boolean(!truthy(eval(*static_cast<const UnaryExpr&>(expr).operand)));
    case ExprKind::kBinary: {
      const auto& op = static_cast<const BinaryExpr&>(expr);
      const Value left = eval(*op.left);
      return binary(heap, op.op, left, eval(*op.right));
    }
    case ExprKind::kAnd: {
      const Value left = eval(*static_cast<const BinaryExpr&>(expr).left);
      return truthy(left) ? eval(*static_cast<const BinaryExpr&>(expr).right) : left;
    }
    case ExprKind::kOr: {
      const Value left = eval(*static_cast<const BinaryExpr&>(expr).left);
      return truthy(left) ? left : eval(*static_cast<const BinaryExpr&>(expr).right);
    }
    case ExprKind::kConcat:
      return eval_concat(static_cast<const SequenceExpr&>(expr));
    case ExprKind::kCompare:
      return eval_compare(static_cast<const CompareExpr&>(expr));
    case ExprKind::kConditional:
      return eval_conditional(static_cast<const ConditionalExpr&>(expr));
    case ExprKind::kAttribute: {
      const auto& attribute = static_cast<const AttributeExpr&>(expr);
      return get_attribute(*this, eval(*attribute.object), attribute.name);
    }
    case ExprKind::kItem: {
      const auto& item = static_cast<const ItemExpr&>(expr);
      const Value object = eval(*item.object);
      return get_item(*this, object, eval(*item.index));
    }
    case ExprKind::kSlice: {
      const auto& part = static_cast<const SliceExpr&>(expr);
      const Value object = eval(*part.object);
      const Value start = eval_or_missing(part.start), stop = eval_or_missing(part.stop);
      return slice(heap, object, start, stop, eval_or_missing(part.step));
    }
    case ExprKind::kCall:
      return eval_call(static_cast<const CallExpr&>(expr), nullptr);
    case ExprKind::kFilter:
    case ExprKind::kTest: {
      const auto& filter = static_cast<const FilterExpr&>(expr);
      return eval_filter(filter, eval(*filter.subject));
    }
  }
  assert(false);
  return Value();
}

std::span<const Value> Interpreter::eval_all(const std::vector<Expr*>& exprs) {
  Value* values = heap.make_array<Value>(exprs.size());
  for (size_t i = 0; i < exprs.size(); ++i) values[i] = eval(*exprs[i]);
  return {values, exprs.size()};
}

Value Interpreter::eval_dict(const DictExpr& expr) {
  Dict* dict = heap.make<Dict>(heap);
  for (const auto& [key, value] : expr.entries) {
    const Value key_value = eval(*key);
    dict->set(key_value, eval(*value));
  }
  return dict;
}

Value Interpreter::eval_concat(const SequenceExpr& expr) {
  const auto items = eval_all(expr.items);
  Value text = &to_str(heap, items[0]);
  for (const Value& item : items.subspan(1)) text = concat_strings(heap, text.str(), to_str(heap, item), false);
  return text;
}

Value Interpreter::eval_compare(const CompareExpr& expr) {
  Value left = eval(*expr.first);
  for (const auto& [op, operand] : expr.rest) {
    const Value right = eval(*operand);
    if (!compare(heap, op, left, right)) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

Value Interpreter::eval_conditional(const ConditionalExpr& expr) {
  if (truthy(eval(*expr.test))) return eval(*expr.then);
  if (expr.otherwise) return eval(*expr.otherwise);
  return make_undefined(heap, fmt::format("the inline if-expression on line {} evaluated to false and no else section "
                                          "was defined.",
                                          expr.line));
}

Value Interpreter::eval_filter(const FilterExpr& expr, Value subject) {
  const Args args = eval_arguments(expr.arguments, nullptr);
  line_ = expr.line;
  if (!expr.function) {
    fail(fmt::format("No {} named '{}' found.", expr.kind == ExprKind::kFilter ? "filter" : "test", expr.name));
  }
  return expr.function(*this, subject, args);
}

// The filters of a set or filter block: `innermost` is what the block printed.
Value Interpreter::eval_filter_chain(const Expr& expr, Value innermost) {
  const auto& filter = static_cast<const FilterExpr&>(expr);
  const Nesting nesting(heap);
  return eval_filter(filter, filter.subject ? eval_filter_chain(*filter.subject, innermost) : innermost);
}

Args Interpreter::eval_arguments(const Arguments& arguments, const Macro* caller) {
  Args args;
  if (!arguments.spread) {
    if (!arguments.positional.empty()) args.positional = eval_all(arguments.positional);
  }
  const auto first = arguments.spread ? eval_all(arguments.positional) : std::span<const Value>();
  const size_t named = arguments.keywords.size() + (caller != nullptr);
  if (named > 0) {
    Keyword* keywords = heap.make_array<Keyword>(named);
    size_t n = 0;
    for (const auto& [name, value] : arguments.keywords) keywords[n++] = {name, eval(*value)};
    if (caller) keywords[n++] = {"caller", Value(caller)};
    args.keywords = {keywords, named};
  }
  if (arguments.spread) {
    const auto more = collect(heap, eval(*arguments.spread));
    Value* all = heap.make_array<Value>(first.size() + more.size());
    std::copy(more.begin(), more.end(), std::copy(first.begin(), first.end(), all));
    args.positional = {all, first.size() + more.size()};
  }
  if (arguments.spread_keywords) {
    const Value mapping = eval(*arguments.spread_keywords);
    if (!mapping.is(Kind::kDict)) fail(fmt::format("argument after ** must be a mapping, not {}", type_name(mapping)));
    const auto& entries = mapping.dict().entries;
    Keyword* keywords = heap.make_array<Keyword>(named + entries.size());
    std::copy(args.keywords.begin(), args.keywords.end(), keywords);
    for (size_t i = 0; i < entries.size(); ++i) {
      if (!entries[i].key.is_string()) fail("keywords must be strings");
      const std::string_view name = entries[i].key.str().view();
      heap.step(1 + args.keywords.size() / 8);
      for (const Keyword& other : args.keywords) {
        if (other.name == name) fail(fmt::format("got multiple values for keyword argument '{}'", name));
      }
      keywords[named + i] = {name, entries[i].value};
    }
    args.keywords = {keywords, named + entries.size()};
  }
  return args;
}

Value Interpreter::eval_call(const CallExpr& expr, const Macro* caller) {
  if (expr.callee->kind == ExprKind::kAttribute) {  // a method is called without being made a value first
    const auto& attribute = static_cast<const AttributeExpr&>(*expr.callee);
    const Value object = eval(*attribute.object);
    heap.scan(attribute.name.str().size);
    const MethodEntry* method = find_method(object, attribute.name.str().view());
    if (method && method->function) {
      const Args args = eval_arguments(expr.arguments, caller);
      line_ = expr.line;
      return method->function(*this, object, args);
    }
    const Value callee = get_attribute(*this, object, attribute.name);
    return call(callee, eval_arguments(expr.arguments, caller));
  }
  const Value callee = eval(*expr.callee);
  const Args args = eval_arguments(expr.arguments, caller);
  line_ = expr.line;
  return call(callee, args);
}

Value Interpreter::call(Value callee, const Args& args) {
  switch (callee.kind()) {
    case Kind::kMacro:
      return call_macro(callee.macro(), args);
    case Kind::kFunction:
      return callee.function().function(*this, args);
    case Kind::kMethod:
      return callee.method().function(*this, callee.method().self, args);
    case Kind::kLoop:
      return recurse(callee.loop(), bind("__call__", args, {"iterable"}, 1)[0]);
    case Kind::kJoiner: {
      expect_no_arguments("__call__", args);
      const bool first = !std::exchange(callee.joiner().used, true);
      return first ? make_string(heap, "") : callee.joiner().separator;
    }
    case Kind::kUndefined:
      fail_undefined(heap, callee);
    default:
      fail(fmt::format("'{}' object is not callable", type_name(callee)));
  }
}

Value Interpreter::call_macro(const Macro& macro, const Args& args) {
  const Nesting nesting(heap);
  const MacroStatement& statement = *macro.statement;
  const auto& parameters = statement.parameters;
  auto* own = heap.make<Activation>(macro.closure, heap.make_array<Value>(statement.slot_count));

  const size_t given = std::min(args.positional.size(), parameters.size());
  for (size_t i = 0; i < given; ++i) own->slots[parameters[i]->ref.slot] = args.positional[i];
  Value caller;
  bool caller_is_parameter = false;
  for (const NameExpr* parameter : parameters) caller_is_parameter |= parameter->text() == "caller";
  Dict* more = statement.uses_kwargs ? heap.make<Dict>(heap) : nullptr;
  for (const Keyword& keyword : args.keywords) {
    heap.step(1 + parameters.size() / 8);
    const auto parameter = std::find_if(parameters.begin() + static_cast<ptrdiff_t>(given), parameters.end(),
                                        [&](const NameExpr* p) { return p->text() == keyword.name; });
    if (parameter != parameters.end()) {
      own->slots[(*parameter)->ref.slot] = keyword.value;
    } else if (keyword.name == "caller" && statement.uses_caller && !caller_is_parameter) {
      caller = keyword.value;
    } else if (more) {
      more->set(make_string(heap, keyword.name), keyword.value);
    } else if (keyword.name == "caller") {
      fail(fmt::format(
          "macro '{}' was invoked with two values for the special caller argument. This is most likely a bug.",
          macro.name));
    } else {
      fail(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, keyword.name));
    }
  }
  if (statement.uses_caller && !caller_is_parameter) {
    own->slots[statement.caller_slot] =
        caller.is_missing() || caller.is_none() ? make_undefined(heap, "No caller defined") : caller;
  }
  if (more) own->slots[statement.kwargs_slot] = more;
  if (statement.uses_varargs) {
    own->slots[statement.varargs_slot] = make_tuple(heap, args.positional.subspan(given));
  } else if (args.positional.size() > parameters.size()) {
    fail(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name, parameters.size()));
  }

  const Scoped<Activation*> inside(current_, own);
  const size_t mark = out_.size();
  enter(statement.entry);
  const size_t first_default = parameters.size() - statement.defaults.size();
  for (size_t i = given; i < parameters.size(); ++i) {
    Value& place = own->slots[parameters[i]->ref.slot];
    if (!place.is_missing()) continue;
    place = i >= first_default
                ? eval(*statement.defaults[i - first_default])
                : make_undefined(heap, fmt::format("parameter '{}' was not provided", parameters[i]->text()));
  }
  run_block(statement.body);
  return capture(mark);
}

}  // namespace fieldprint::jinja
