// Runs a program once. A tree walk: what a statement prints goes to one growing text, and what a macro or a block
// captures is cut off that text's end.
#pragma once

#include "jinja/ast.h"
#include "jinja/loop.h"
#include "jinja/text_builder.h"

namespace fieldprint::jinja {

class Interpreter final : public Runtime {
 public:
  Interpreter(const Program& program, Heap& heap_, std::time_t now_) : Runtime(heap_, now_), program_(program) {}

  // Throws Failure, and Error kLimit.
  const TextBuilder& run(const Dict& variables);  // what was printed
  uint32_t line() const { return line_; }         // where it is, or has failed

  Value call(Value callee, const Args& args) override;
  bool passes(const Loop& loop, Value& item) override;
  Value recurse(const Loop& loop, Value iterable) override;

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  Flow run_block(const Block& block);
  Flow run_statement(const Statement& statement);
  void run_set_block(const SetBlockStatement& set);
  Flow run_if(const IfStatement& choice);
  Flow run_for(const ForStatement& statement);
  Flow run_loop(const ForStatement& statement, Value iterable, int64_t depth0);
  bool run_plain_loop(const ForStatement& statement, Value iterable);
  bool run_extended_loop(const ForStatement& statement, Value iterable, int64_t depth0);
  void run_call_block(const CallBlockStatement& block);
  void run_filter_block(const FilterBlockStatement& block);
  Flow run_with(const WithStatement& with);
  void print(Value value);
  void emit(std::string_view text);
  Value capture(size_t mark);  // cuts what was printed since

  void enter(const ScopeEntry& entry);
  Value& slot(const Ref& ref);
  Value load(const NameExpr& name);
  void check_namespaces(const Expr& target);
  void assign(const Expr& target, Value value);

  Value eval(const Expr& expr);
  Value eval_or_missing(const Expr* expr) { return expr ? eval(*expr) : Value(); }
  std::span<const Value> eval_all(const std::vector<Expr*>& exprs);
  Value eval_dict(const DictExpr& expr);
  Value eval_concat(const SequenceExpr& expr);
  Value eval_compare(const CompareExpr& expr);
  Value eval_conditional(const ConditionalExpr& expr);
  Value eval_call(const CallExpr& expr, const Macro* caller);
  Value eval_filter(const FilterExpr& expr, Value subject);
  Value eval_filter_chain(const Expr& expr, Value innermost);
  Args eval_arguments(const Arguments& arguments, const Macro* caller);
  Value call_macro(const Macro& macro, const Args& args);
  Value make_macro(const MacroStatement& statement);

  const Program& program_;
  std::vector<Value> context_;
  Activation* current_ = nullptr;
  TextBuilder out_{heap};
  uint32_t line_ = 0;
};

}  // namespace fieldprint::jinja
