#include "jinja/scope.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>

#include "jinja/lexer.h"

namespace fieldprint::jinja {
namespace {

// What has slots of its own: the template, a macro, a recursive loop.
struct Function {
  uint32_t depth;
  uint32_t slot_count = 0;
};

struct Location {
  bool in_context;
  uint32_t depth;  // of the function
  uint32_t slot;
};

class Scope {
 public:
  enum class Load : uint8_t { kParameter, kUndefined, kOuter, kContext };
  struct Symbol {
    std::string_view name;
    Load load;
    bool stored;
    Location outer;     // kOuter
    Location location;  // known after finish()
  };

  Scope(Function& function, const Scope* parent) : function_(function), parent_(parent) {}

  void declare(std::string_view name) {
    Symbol& symbol = define(name, Load::kParameter);
    symbol.load = Load::kParameter;
    symbol.stored = true;
  }

  void load(std::string_view name) {
    if (!find(name)) define(name, Load::kContext);
  }

  // `always`: not below an `if`. What an `if` may leave unassigned keeps what the context says.
  void store(std::string_view name, bool always) {
    if (const auto own = index_.find(name); own != index_.end()) {
      symbols_[own->second].stored = true;
      return;
    }
    const Symbol* outer = parent_ ? parent_->find(name) : nullptr;
    Symbol& symbol = define(name, outer ? Load::kOuter : always ? Load::kUndefined : Load::kContext);
    if (outer) symbol.outer = outer->location;
    symbol.stored = true;
  }

  const Symbol* find(std::string_view name) const {
    for (const Scope* scope = this; scope; scope = scope->parent_) {
      const auto own = scope->index_.find(name);
      if (own != scope->index_.end()) return &scope->symbols_[own->second];
    }
    return nullptr;
  }

  Function& function() const { return function_; }
  std::vector<Symbol>& symbols() { return symbols_; }

 private:
  Symbol& define(std::string_view name, Load load) {
    const auto [place, fresh] = index_.try_emplace(name, symbols_.size());
    if (fresh) symbols_.push_back({name, load, false, {}, {}});
    return symbols_[place->second];
  }

  Function& function_;
  const Scope* parent_;
  std::unordered_map<std::string_view, size_t> index_;
  std::vector<Symbol> symbols_;
};

class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  void run() {
    Function function{0};
    Scope scope(function, nullptr);
    analyse(program_.body, scope);
    program_.entry = finish(scope);
    resolve(program_.body, scope);
    program_.slot_count = function.slot_count;
  }

 private:
  // First: which names does a scope load and store? Inner scopes are not entered.

  void analyse(const Block& block, Scope& scope, bool always = true) {
    for (const Statement* statement : block) analyse(*statement, scope, always);
  }

  void analyse(const Statement& statement, Scope& scope, bool always) {
    switch (statement.kind) {
      case StatementKind::kPrint:
        load_names(static_cast<const PrintStatement&>(statement).expr, scope);
        return;
      case StatementKind::kSet: {
        const auto& set = static_cast<const SetStatement&>(statement);
        load_names(set.value, scope);
        store_names(set.target, scope, always);
        return;
      }
      case StatementKind::kSetBlock:
        store_names(static_cast<const SetBlockStatement&>(statement).target, scope, always);
        return;
      case StatementKind::kIf: {
        const auto& choice = static_cast<const IfStatement&>(statement);
        for (const auto& [test, body] : choice.branches) {
          load_names(test, scope);
          analyse(body, scope, false);
        }
        analyse(choice.otherwise, scope, false);
        return;
      }
      case StatementKind::kFor:
        load_names(static_cast<const ForStatement&>(statement).iterable, scope);
        return;
      case StatementKind::kMacro:
        scope.store(static_cast<const MacroStatement&>(statement).name, always);
        return;
      case StatementKind::kCallBlock:
        load_names(static_cast<const CallBlockStatement&>(statement).call, scope);
        return;
      case StatementKind::kFilterBlock:
        load_names(static_cast<const FilterBlockStatement&>(statement).filter, scope);
        return;
      case StatementKind::kWith:
        for (const auto& [target, value] : static_cast<const WithStatement&>(statement).assignments) {
          load_names(value, scope);
        }
        return;
      case StatementKind::kText:
      case StatementKind::kGeneration:
      case StatementKind::kBreak:
      case StatementKind::kContinue:
        return;
    }
  }

  void store_names(const Expr* target, Scope& scope, bool always) {
    if (target->kind == ExprKind::kName) {
      scope.store(static_cast<const NameExpr*>(target)->text(), always);
    } else if (target->kind == ExprKind::kNamespaceRef) {
      scope.load(static_cast<const NamespaceRef*>(target)->space->text());
    } else {
      for (const Expr* item : static_cast<const SequenceExpr*>(target)->items) store_names(item, scope, always);
    }
  }

  void declare_names(const Expr* target, Scope& scope) {
    if (target->kind == ExprKind::kName) {
      scope.declare(static_cast<const NameExpr*>(target)->text());
    } else {
      for (const Expr* item : static_cast<const SequenceExpr*>(target)->items) declare_names(item, scope);
    }
  }

  void load_names(const Expr* expr, Scope& scope) {
    if (!expr) return;
    if (expr->kind == ExprKind::kName) scope.load(static_cast<const NameExpr*>(expr)->text());
    else for_each_child(*expr, [&](Expr* child) { load_names(child, scope); });
  }

  // Then: every symbol gets its place, and the scope's entry says how it is filled.

  ScopeEntry finish(Scope& scope) {
    ScopeEntry entry;
    for (Scope::Symbol& symbol : scope.symbols()) {
      if (symbol.load == Scope::Load::kContext && !symbol.stored) {
        symbol.location = {true, 0, context_slot(symbol.name)};
        continue;
      }
      symbol.location = {false, scope.function().depth, scope.function().slot_count++};
      const uint32_t slot = symbol.location.slot;
      switch (symbol.load) {
        case Scope::Load::kParameter:
          break;
        case Scope::Load::kUndefined:
          entry.push_back({slot, true, {}});
          break;
        case Scope::Load::kOuter:
          entry.push_back({slot, false, ref_to(symbol.outer, scope)});
          break;
        case Scope::Load::kContext:
          entry.push_back({slot, false, {Ref::kContext, context_slot(symbol.name)}});
          break;
      }
    }
    return entry;
  }

  uint32_t context_slot(std::string_view name) {
    const auto [place, fresh] = context_.try_emplace(name, static_cast<uint32_t>(program_.context_names.size()));
    if (fresh) program_.context_names.push_back(name);
    return place->second;
  }

  static Ref ref_to(const Location& location, const Scope& from) {
    if (location.in_context) return {Ref::kContext, location.slot};
    return {from.function().depth - location.depth, location.slot};
  }

  Ref ref_of(std::string_view name, const Scope& scope) {
    if (const Scope::Symbol* symbol = scope.find(name)) return ref_to(symbol->location, scope);
    return {Ref::kContext, context_slot(name)};
  }

  // Last: names become Refs, and inner scopes are taken on in turn.

  void resolve(const Block& block, Scope& scope) {
    for (Statement* statement : block) resolve(*statement, scope);
  }

  // A body that is not below this function's `if` any more.
  void resolve_inner(const Block& block, Scope& scope) {
    const bool outer = std::exchange(below_if_, false);
    resolve(block, scope);
    below_if_ = outer;
  }

  void resolve(Statement& statement, Scope& scope) {
    switch (statement.kind) {
      case StatementKind::kPrint:
        return resolve(static_cast<PrintStatement&>(statement).expr, scope);
      case StatementKind::kSet:
        resolve(static_cast<SetStatement&>(statement).value, scope);
        return resolve(static_cast<SetStatement&>(statement).target, scope);
      case StatementKind::kSetBlock:
        return resolve_set_block(static_cast<SetBlockStatement&>(statement), scope);
      case StatementKind::kIf:
        return resolve_if(static_cast<IfStatement&>(statement), scope);
      case StatementKind::kFor:
        return resolve_for(static_cast<ForStatement&>(statement), scope);
      case StatementKind::kMacro: {
        auto& macro = static_cast<MacroStatement&>(statement);
        resolve(macro.target, scope);
        return resolve_macro(macro, scope);
      }
      case StatementKind::kCallBlock:
        resolve_macro(*static_cast<CallBlockStatement&>(statement).body, scope);
        return resolve(static_cast<CallBlockStatement&>(statement).call, scope);
      case StatementKind::kFilterBlock:
        return resolve_filter_block(static_cast<FilterBlockStatement&>(statement), scope);
      case StatementKind::kWith:
      case StatementKind::kGeneration:
        return resolve_with(static_cast<WithStatement&>(statement), scope);
      case StatementKind::kText:
      case StatementKind::kBreak:
      case StatementKind::kContinue:
        return;
    }
  }

  void resolve_if(IfStatement& choice, Scope& scope) {
    const bool outer = std::exchange(below_if_, true);
    for (const auto& [test, body] : choice.branches) {
      resolve(test, scope);
      resolve(body, scope);
    }
    resolve(choice.otherwise, scope);
    below_if_ = outer;
  }

  void resolve_set_block(SetBlockStatement& set, Scope& scope) {
    Scope inner(scope.function(), &scope);
    analyse(set.body, inner);
    set.entry = finish(inner);
    resolve_inner(set.body, inner);
    const bool outer = std::exchange(below_if_, false);
    resolve(set.filter, inner);
    below_if_ = outer;
    resolve(set.target, scope);
  }

  void resolve_filter_block(FilterBlockStatement& block, Scope& scope) {
    Scope inner(scope.function(), &scope);
    analyse(block.body, inner);
    load_names(block.filter, inner);
    block.entry = finish(inner);
    resolve_inner(block.body, inner);
    const bool outer = std::exchange(below_if_, false);
    resolve(block.filter, inner);
    below_if_ = outer;
  }

  void resolve_with(WithStatement& with, Scope& scope) {
    Scope inner(scope.function(), &scope);
    for (const auto& [target, value] : with.assignments) declare_names(target, inner);
    analyse(with.body, inner);
    with.entry = finish(inner);
    for (const auto& [target, value] : with.assignments) {
      resolve(value, scope);
      resolve(target, inner);
    }
    resolve_inner(with.body, inner);
  }

  void resolve_for(ForStatement& loop, Scope& scope) {
    resolve(loop.iterable, scope);
    Function own{scope.function().depth + 1};
    Function& function = loop.recursive ? own : scope.function();
    {
      Scope inner(function, &scope);
      if (loop.uses_loop) inner.declare("loop");
      declare_names(loop.target, inner);
      analyse(loop.body, inner);
      loop.body_entry = finish(inner);
      if (loop.uses_loop) loop.loop_slot = inner.find("loop")->location.slot;
      resolve(loop.target, inner);
      resolve_inner(loop.body, inner);
    }
    if (loop.test) {
      Scope inner(function, &scope);
      declare_names(loop.test_target, inner);
      load_names(loop.test, inner);
      loop.test_entry = finish(inner);
      resolve(loop.test_target, inner);
      const bool outer = std::exchange(below_if_, false);
      resolve(loop.test, inner);
      below_if_ = outer;
    }
    Scope inner(function, &scope);
    analyse(loop.otherwise, inner);
    loop.otherwise_entry = finish(inner);
    resolve_inner(loop.otherwise, inner);
    loop.slot_count = own.slot_count;
  }

  void resolve_macro(MacroStatement& macro, Scope& scope) {
    Function function{scope.function().depth + 1};
    Scope inner(function, &scope);
    for (const NameExpr* parameter : macro.parameters) inner.declare(parameter->text());
    if (macro.uses_caller) inner.declare("caller");
    if (macro.uses_kwargs) inner.declare("kwargs");
    if (macro.uses_varargs) inner.declare("varargs");
    for (const Expr* value : macro.defaults) load_names(value, inner);
    analyse(macro.body, inner);
    macro.entry = finish(inner);
    const auto slot = [&](bool used, std::string_view name) { return used ? inner.find(name)->location.slot : 0; };
    macro.caller_slot = slot(macro.uses_caller, "caller");
    macro.kwargs_slot = slot(macro.uses_kwargs, "kwargs");
    macro.varargs_slot = slot(macro.uses_varargs, "varargs");
    for (NameExpr* parameter : macro.parameters) resolve(parameter, inner);
    const bool outer = std::exchange(below_if_, false);
    for (Expr* value : macro.defaults) resolve(value, inner);
    resolve(macro.body, inner);
    below_if_ = outer;
    macro.slot_count = function.slot_count;
  }

  void resolve(Expr* expr, Scope& scope) {
    if (!expr) return;
    switch (expr->kind) {
      case ExprKind::kName: {
        auto* name = static_cast<NameExpr*>(expr);
        name->ref = ref_of(name->text(), scope);
        return;
      }
      case ExprKind::kNamespaceRef:
        return resolve(static_cast<NamespaceRef*>(expr)->space, scope);
      case ExprKind::kConditional: {
        const bool outer = std::exchange(below_if_, true);
        for_each_child(*expr, [&](Expr* child) { resolve(child, scope); });
        below_if_ = outer;
        return;
      }
      case ExprKind::kFilter:
      case ExprKind::kTest: {
        const auto* filter = static_cast<const FilterExpr*>(expr);
        if (!filter->function && !below_if_) {
          const char* what = expr->kind == ExprKind::kFilter ? "filter" : "test";
          throw SyntaxFailure{fmt::format("No {} named '{}'.", what, filter->name), expr->line};
        }
        break;
      }
      default:
        break;
    }
    for_each_child(*expr, [&](Expr* child) { resolve(child, scope); });
  }

  template <class Visit>
  static void visit_arguments(const Arguments& arguments, Visit visit) {
    for (Expr* argument : arguments.positional) visit(argument);
    for (const auto& [name, value] : arguments.keywords) visit(value);
    if (arguments.spread) visit(arguments.spread);
    if (arguments.spread_keywords) visit(arguments.spread_keywords);
  }

  template <class Visit>
  static void for_each_child(Expr& expr, Visit visit) {
    for_each_child(static_cast<const Expr&>(expr), visit);
  }

  template <class Visit>
  static void for_each_child(const Expr& expr, Visit visit) {
    const auto visit_all = [&](std::initializer_list<Expr*> children) {
      for (Expr* child : children) {
        if (child) visit(child);
      }
    };
    switch (expr.kind) {
      case ExprKind::kConst:
      case ExprKind::kName:
      case ExprKind::kNamespaceRef:
        return;
      case ExprKind::kList:
      case ExprKind::kTuple:
      case ExprKind::kConcat:
        for (Expr* item : static_cast<const SequenceExpr&>(expr).items) visit(item);
        return;
      case ExprKind::kDict:
        for (const auto& [key, value] : static_cast<const DictExpr&>(expr).entries) visit(key), visit(value);
        return;
      case ExprKind::kNegate:
      case ExprKind::kPositive:
      case ExprKind::kNot:
        return visit(static_cast<const UnaryExpr&>(expr).operand);
      case ExprKind::kBinary:
      case ExprKind::kAnd:
      case ExprKind::kOr: {
        const auto& binary = static_cast<const BinaryExpr&>(expr);
        return visit_all({binary.left, binary.right});
      }
      case ExprKind::kCompare: {
        const auto& compare = static_cast<const CompareExpr&>(expr);
        visit(compare.first);
        for (const auto& [op, operand] : compare.rest) visit(operand);
        return;
      }
      case ExprKind::kConditional: {
        const auto& choice = static_cast<const ConditionalExpr&>(expr);
        return visit_all({choice.test, choice.then, choice.otherwise});
      }
      case ExprKind::kAttribute:
        return visit(static_cast<const AttributeExpr&>(expr).object);
      case ExprKind::kItem:
        return visit_all({static_cast<const ItemExpr&>(expr).object, static_cast<const ItemExpr&>(expr).index});
      case ExprKind::kSlice: {
        const auto& slice = static_cast<const SliceExpr&>(expr);
        return visit_all({slice.object, slice.start, slice.stop, slice.step});
      }
      case ExprKind::kCall:
        visit(static_cast<const CallExpr&>(expr).callee);
        return visit_arguments(static_cast<const CallExpr&>(expr).arguments, visit);
      case ExprKind::kFilter:
      case ExprKind::kTest:
        visit_all({static_cast<const FilterExpr&>(expr).subject});
        return visit_arguments(static_cast<const FilterExpr&>(expr).arguments, visit);
    }
  }

  Program& program_;
  std::unordered_map<std::string_view, uint32_t> context_;
  bool below_if_ = false;
};

}  // namespace

void resolve_names(Program& program) { Resolver(program).run(); }

}  // namespace fieldprint::jinja
