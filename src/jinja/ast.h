// A template as a tree, and the program that owns it. Immutable once parsed; shared between renderings.
// Names are resolved to slots by scope.cpp, so that rendering looks nothing up by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/operators.h"
#include "jinja/value.h"

namespace fieldprint::jinja {

// Where a variable lives: in a function's slots, `hops` functions outwards, or among the context's variables.
struct Ref {
  static constexpr uint32_t kContext = UINT32_MAX;
  uint32_t hops = kContext;
  uint32_t slot = 0;
};

enum class ExprKind : uint8_t {
  kConst,
  kName,
  kNamespaceRef,
  kList,
  kTuple,
  kDict,
  kNegate,
  kPositive,
  kNot,
  kBinary,
  kConcat,
  kCompare,
  kAnd,
  kOr,
  kConditional,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
};

struct Node {
  explicit Node(uint32_t line_) : line(line_) {}
  virtual ~Node() = default;
  uint32_t line;
};

struct Expr : Node {
  Expr(ExprKind kind_, uint32_t line_) : Node(line_), kind(kind_) {}
  ExprKind kind;
  uint32_t depth = 1;  // of the tree below; the parser bounds it
};

struct ConstExpr final : Expr {
  ConstExpr(uint32_t line_, Value value_) : Expr(ExprKind::kConst, line_), value(value_) {}
  Value value;
};

struct NameExpr final : Expr {
  NameExpr(uint32_t line_, Value name_) : Expr(ExprKind::kName, line_), name(name_) {}
  std::string_view text() const { return name.str().view(); }
  Value name;
  Ref ref;
};

// `ns.attribute`, assigned to.
struct NamespaceRef final : Expr {
  NamespaceRef(uint32_t line_, NameExpr* space_, Value attribute_)
      : Expr(ExprKind::kNamespaceRef, line_), space(space_), attribute(attribute_) {}
  NameExpr* space;
  Value attribute;
};

struct SequenceExpr final : Expr {  // kList, kTuple, kConcat
  using Expr::Expr;
  std::vector<Expr*> items;
};

struct DictExpr final : Expr {
  explicit DictExpr(uint32_t line_) : Expr(ExprKind::kDict, line_) {}
  std::vector<std::pair<Expr*, Expr*>> entries;
};

struct UnaryExpr final : Expr {  // kNegate, kPositive, kNot
  UnaryExpr(ExprKind kind_, uint32_t line_, Expr* operand_) : Expr(kind_, line_), operand(operand_) {}
  Expr* operand;
};

struct BinaryExpr final : Expr {  // kBinary, kAnd, kOr
  BinaryExpr(ExprKind kind_, uint32_t line_, BinaryOp op_, Expr* left_, Expr* right_)
      : Expr(kind_, line_), op(op_), left(left_), right(right_) {}
  BinaryOp op;
  Expr *left, *right;
};

struct CompareExpr final : Expr {
  CompareExpr(uint32_t line_, Expr* first_) : Expr(ExprKind::kCompare, line_), first(first_) {}
  Expr* first;
  std::vector<std::pair<CompareOp, Expr*>> rest;
};

struct ConditionalExpr final : Expr {
  ConditionalExpr(uint32_t line_, Expr* test_, Expr* then_, Expr* otherwise_)
      : Expr(ExprKind::kConditional, line_), test(test_), then(then_), otherwise(otherwise_) {}
  Expr *test, *then, *otherwise;  // otherwise may be null
};

struct AttributeExpr final : Expr {
  AttributeExpr(uint32_t line_, Expr* object_, Value name_)
      : Expr(ExprKind::kAttribute, line_), object(object_), name(name_) {}
  Expr* object;
  Value name;
};

struct ItemExpr final : Expr {
  ItemExpr(uint32_t line_, Expr* object_, Expr* index_)
      : Expr(ExprKind::kItem, line_), object(object_), index(index_) {}
  Expr *object, *index;
};

struct SliceExpr final : Expr {
  explicit SliceExpr(uint32_t line_) : Expr(ExprKind::kSlice, line_) {}
  Expr* object = nullptr;
  Expr *start = nullptr, *stop = nullptr, *step = nullptr;  // null where left out
};

struct Arguments {
  std::vector<Expr*> positional;
  std::vector<std::pair<std::string_view, Expr*>> keywords;
  Expr *spread = nullptr, *spread_keywords = nullptr;  // *args, **kwargs
};

struct CallExpr final : Expr {
  CallExpr(uint32_t line_, Expr* callee_) : Expr(ExprKind::kCall, line_), callee(callee_) {}
  Expr* callee;
  Arguments arguments;
};

using FilterFunction = Value (*)(Runtime&, Value subject, const Args&);

struct FilterExpr final : Expr {  // kFilter, kTest
  FilterExpr(ExprKind kind_, uint32_t line_, Expr* subject_, std::string_view name_)
      : Expr(kind_, line_), subject(subject_), name(name_) {}
  Expr* subject;  // null: what a filter or set block holds
  std::string_view name;
  FilterFunction function = nullptr;  // null: unknown, an error when it is reached
  Arguments arguments;
};

enum class StatementKind : uint8_t {
  kText,
  kPrint,
  kSet,
  kSetBlock,
  kIf,
  kFor,
  kBreak,
  kContinue,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kGeneration,
};

struct Statement : Node {
  Statement(StatementKind kind_, uint32_t line_) : Node(line_), kind(kind_) {}
  StatementKind kind;
};
using Block = std::vector<Statement*>;

// What entering a scope puts into the slots it owns.
struct SlotLoad {
  uint32_t slot;
  bool undefined;  // else a copy of `from`
  Ref from;
};
using ScopeEntry = std::vector<SlotLoad>;

struct TextStatement final : Statement {
  TextStatement(uint32_t line_, std::string_view text_) : Statement(StatementKind::kText, line_), text(text_) {}
  std::string_view text;
};

struct PrintStatement final : Statement {
  PrintStatement(uint32_t line_, Expr* expr_) : Statement(StatementKind::kPrint, line_), expr(expr_) {}
  Expr* expr;
};

struct SetStatement final : Statement {
  explicit SetStatement(uint32_t line_) : Statement(StatementKind::kSet, line_) {}
  Expr *target = nullptr, *value = nullptr;
};

struct SetBlockStatement final : Statement {
  explicit SetBlockStatement(uint32_t line_) : Statement(StatementKind::kSetBlock, line_) {}
  Expr* target = nullptr;
  Expr* filter = nullptr;  // null where there is none
  Block body;
  ScopeEntry entry;
};

struct IfStatement final : Statement {
  explicit IfStatement(uint32_t line_) : Statement(StatementKind::kIf, line_) {}
  std::vector<std::pair<Expr*, Block>> branches;
  Block otherwise;
};

struct ForStatement final : Statement {
  explicit ForStatement(uint32_t line_) : Statement(StatementKind::kFor, line_) {}
  Expr *target = nullptr, *iterable = nullptr;
  Expr* test = nullptr;         // null where there is none
  Expr* test_target = nullptr;  // the target once more, in the test's own scope
  bool recursive = false;
  bool uses_loop = false;
  Block body, otherwise;
  ScopeEntry body_entry, otherwise_entry, test_entry;
  uint32_t loop_slot = 0;
  uint32_t slot_count = 0;  // of the body as a function, where the loop is recursive
};

struct ControlStatement final : Statement {  // kBreak, kContinue
  using Statement::Statement;
};

struct MacroStatement final : Statement {
  explicit MacroStatement(uint32_t line_) : Statement(StatementKind::kMacro, line_) {}
  std::string_view name;  // empty: a call block's body
  NameExpr* target = nullptr;
  std::vector<NameExpr*> parameters;
  std::vector<Expr*> defaults;  // of the last parameters
  Block body;
  ScopeEntry entry;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
  uint32_t caller_slot = 0, kwargs_slot = 0, varargs_slot = 0;
  uint32_t slot_count = 0;
};

struct CallBlockStatement final : Statement {
  explicit CallBlockStatement(uint32_t line_) : Statement(StatementKind::kCallBlock, line_) {}
  MacroStatement* body = nullptr;
  CallExpr* call = nullptr;
};

struct FilterBlockStatement final : Statement {
  explicit FilterBlockStatement(uint32_t line_) : Statement(StatementKind::kFilterBlock, line_) {}
  Expr* filter = nullptr;
  Block body;
  ScopeEntry entry;
};

struct WithStatement final : Statement {  // kWith, kGeneration (no targets)
  using Statement::Statement;
  std::vector<std::pair<Expr*, Expr*>> assignments;
  Block body;
  ScopeEntry entry;
};

// A parsed template.
struct Program {
  Program() : heap(UINT64_MAX, 256u << 20) {}
  std::string source;  // newlines normalised; text statements point into it
  Heap heap;           // constants
  std::vector<std::unique_ptr<Node>> nodes;
  Block body;
  ScopeEntry entry;
  uint32_t slot_count = 0;
  std::vector<std::string_view> context_names;  // the context variables, by slot
};

}  // namespace fieldprint::jinja
