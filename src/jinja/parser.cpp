#include "jinja/parser.h"

#include <fmt/format.h>

#include "jinja/expression_parser.h"
#include "jinja/scope.h"

namespace fieldprint::jinja {
namespace {

class Parser final : ExpressionParser {
 public:
  explicit Parser(Program& program) : ExpressionParser(program) {}

  void run() { program_.body = parse_block({}); }

 private:
  // Statements.

  // Up to one of `ends`, whose name is then the current token; without ends, to the end of the template.
  Block parse_block(Tags ends) {
    const Level level(*this);
    Block block;
    while (!is(TokenKind::kEnd)) {
      if (is(TokenKind::kText)) {
        const Token text = take();
        block.push_back(make<TextStatement>(text.line, text.text));
      } else if (is(TokenKind::kPrintBegin)) {
        const uint32_t line = take().line;
        Expr* expr = parse_tuple();
        expect(TokenKind::kPrintEnd, "end of print statement");
        block.push_back(make<PrintStatement>(line, expr));
      } else {
        expect(TokenKind::kBlockBegin, "begin of statement block");
        if (at_tag(ends)) return block;
        parse_statement(block);
        expect(TokenKind::kBlockEnd, "end of statement block");
      }
    }
    if (ends.size() > 0) {
      fail_at(current().line, fmt::format("Unexpected end of template. Jinja was looking for the following tags: '{}'.",
                                          fmt::join(ends, "' or '")));
    }
    return block;
  }

  // The body of a statement whose tag has been read up to its end.
  Block parse_body(Tags ends) {
    skip_op(":");
    expect(TokenKind::kBlockEnd, "end of statement block");
    return parse_block(ends);
  }

  void parse_statement(Block& out) {
    const Token tag = expect(TokenKind::kName, "tag name");
    const std::string_view name = tag.text;
    if (name == "set") out.push_back(parse_set(tag.line));
    else if (name == "if") out.push_back(parse_if(tag.line));
    else if (name == "for") out.push_back(parse_for(tag.line));
    else if (name == "macro") out.push_back(parse_macro(tag.line));
    else if (name == "call") out.push_back(parse_call_block(tag.line));
    else if (name == "filter") out.push_back(parse_filter_block(tag.line));
    else if (name == "with") out.push_back(parse_with(tag.line));
    else if (name == "generation") out.push_back(parse_generation(tag.line));
    else if (name == "print") parse_print(out);
    else if (name == "break" || name == "continue") out.push_back(parse_control(tag));
    else if (name == "include" || name == "import" || name == "from" || name == "extends" || name == "block" ||
             name == "autoescape") {
      fail_at(tag.line, fmt::format("the tag '{}' is not available: a chat template stands alone", name));
    } else {
      fail_at(tag.line, fmt::format("Encountered unknown tag '{}'.", name));
    }
  }

  Statement* parse_control(const Token& tag) {
    if (loops_ == 0) fail_at(tag.line, fmt::format("'{}' outside loop", tag.text));
    return make<ControlStatement>(tag.text == "break" ? StatementKind::kBreak : StatementKind::kContinue, tag.line);
  }

  void parse_print(Block& out) {
    bool first = true;
    while (!is(TokenKind::kBlockEnd)) {
      if (!first) expect_op(",");
      first = false;
      const uint32_t line = current().line;
      out.push_back(make<PrintStatement>(line, parse_expression()));
    }
  }

  Statement* parse_set(uint32_t line) {
    Expr* target = parse_target(true, {});
    if (skip_op("=")) {
      auto* set = make<SetStatement>(line);
      set->target = target;
      set->value = parse_tuple();
      return set;
    }
    auto* set = make<SetBlockStatement>(line);
    set->target = target;
    set->filter = parse_filters(nullptr);
    set->body = parse_body({"endset"});
    take();
    return set;
  }

  Statement* parse_if(uint32_t line) {
    auto* result = make<IfStatement>(line);
    while (true) {
      Expr* test = parse_tuple(false);
      Block body = parse_body({"elif", "else", "endif"});
      result->branches.emplace_back(test, std::move(body));
      const Token tag = take();
      if (tag.text == "elif") continue;
      if (tag.text == "else") {
        result->otherwise = parse_body({"endif"});
        take();
      }
      return result;
    }
  }

  Statement* parse_for(uint32_t line) {
    auto* loop = make<ForStatement>(line);
    loop->target = parse_target(false, "in");
    expect_name("in");
    loop->iterable = parse_tuple(false, "recursive");
    if (skip_name("if")) {
      loop->test = parse_expression();
      loop->test_target = copy_target(loop->target);
    }
    loop->recursive = skip_name("recursive");
    ++loops_;
    fail_if_stores_loop(loop->target);
    const size_t mentions = loop_mentions_;
    loop->body = parse_body({"endfor", "else"});
    loop->uses_loop = loop->recursive || loop_mentions_ > mentions;
    --loops_;
    if (take().text == "else") {
      const int outer_loops = loop->recursive ? std::exchange(loops_, 0) : loops_;  // then it is a function
      loop->otherwise = parse_body({"endfor"});
      loops_ = outer_loops;
      take();
    }
    return loop;
  }

  Expr* copy_target(const Expr* target) {
    if (target->kind == ExprKind::kName) {
      return make<NameExpr>(target->line, static_cast<const NameExpr*>(target)->name);
    }
    auto* copy = make<SequenceExpr>(ExprKind::kTuple, target->line);
    for (const Expr* item : static_cast<const SequenceExpr*>(target)->items) copy->items.push_back(copy_target(item));
    return copy;
  }

  void fail_if_stores_loop(const Expr* target) const {
    if (loops_ == 0) return;
    if (target->kind == ExprKind::kTuple) {
      for (const Expr* item : static_cast<const SequenceExpr*>(target)->items) fail_if_stores_loop(item);
    } else if (target->kind == ExprKind::kName && static_cast<const NameExpr*>(target)->text() == "loop") {
      fail_at(target->line, "Can't assign to special loop variable in for-loop target");
    }
  }

  void parse_signature(MacroStatement& macro) {
    expect_op("(");
    while (!at_op(")")) {
      if (!macro.parameters.empty()) expect_op(",");
      const Token name = expect_identifier();
      fail_if_reserved(name);
      if (macro.parameters.size() == kMaxArguments) fail_at(name.line, "a macro has too many parameters");
      for (const NameExpr* other : macro.parameters) {
        if (other->text() == name.text) fail_at(name.line, fmt::format("duplicate argument '{}'", name.text));
      }
      auto* parameter = make<NameExpr>(name.line, constant(name.text));
      if (skip_op("=")) macro.defaults.push_back(parse_expression());
      else if (!macro.defaults.empty()) fail_at(name.line, "non-default argument follows default argument");
      macro.parameters.push_back(parameter);
    }
    expect_op(")");
  }

  void parse_macro_body(MacroStatement& macro, std::string_view end) {
    const int outer_loops = std::exchange(loops_, 0);
    const size_t caller = caller_mentions_, kwargs = kwargs_mentions_, varargs = varargs_mentions_;
    macro.body = parse_body({end});
    take();
    loops_ = outer_loops;
    macro.uses_caller = caller_mentions_ > caller;
    macro.uses_kwargs = kwargs_mentions_ > kwargs;
    macro.uses_varargs = varargs_mentions_ > varargs;
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      const std::string_view name = macro.parameters[i]->text();
      if (name == "kwargs") macro.uses_kwargs = false;
      if (name == "varargs") macro.uses_varargs = false;
      if (name == "caller" && macro.uses_caller && i + macro.defaults.size() < macro.parameters.size()) {
        fail_at(macro.line,
                "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a "
                "default.");
      }
    }
  }

  Statement* parse_macro(uint32_t line) {
    auto* macro = make<MacroStatement>(line);
    const Token name = expect_identifier();
    fail_if_reserved(name);
    macro->target = make<NameExpr>(name.line, constant(name.text));
    macro->name = macro->target->text();
    fail_if_stores_loop(macro->target);
    parse_signature(*macro);
    parse_macro_body(*macro, "endmacro");
    return macro;
  }

  Statement* parse_call_block(uint32_t line) {
    auto* block = make<CallBlockStatement>(line);
    block->body = make<MacroStatement>(line);
    if (at_op("(")) parse_signature(*block->body);
    Expr* call = parse_expression();
    if (call->kind != ExprKind::kCall) fail_at(line, "expected call");
    block->call = static_cast<CallExpr*>(call);
    parse_macro_body(*block->body, "endcall");
    return block;
  }

  Statement* parse_filter_block(uint32_t line) {
    auto* block = make<FilterBlockStatement>(line);
    block->filter = parse_filters(parse_filter(nullptr));
    block->body = parse_body({"endfilter"});
    take();
    return block;
  }

  Statement* parse_with(uint32_t line) {
    auto* with = make<WithStatement>(StatementKind::kWith, line);
    while (!is(TokenKind::kBlockEnd)) {
      if (!with->assignments.empty()) expect_op(",");
      Expr* target = parse_target(false, {});
      expect_op("=");
      Expr* value = parse_expression();
      with->assignments.emplace_back(target, value);
    }
    with->body = parse_body({"endwith"});
    take();
    return with;
  }

  // Marks what the model wrote, for those who train; the text itself stays as it is.
  Statement* parse_generation(uint32_t line) {
    auto* block = make<WithStatement>(StatementKind::kGeneration, line);
    const int outer_loops = std::exchange(loops_, 0);  // its body is a function to Jinja
    block->body = parse_body({"endgeneration"});
    loops_ = outer_loops;
    take();
    return block;
  }

  // Targets.

  void fail_if_reserved(const Token& name) const {
    for (const std::string_view word : {"true", "True", "false", "False", "none", "None"}) {
      if (name.text == word) fail_at(name.line, fmt::format("can't assign to '{}'", word));
    }
  }

  Expr* parse_one_target(bool with_namespace) {
    const Level level(*this);
    if (at_op("(")) {
      const uint32_t line = take().line;
      Expr* inner = parse_target_list(with_namespace, {}, line);
      expect_op(")");
      return inner;
    }
    if (!is(TokenKind::kName)) {
      fail_at(current().line, fmt::format("can't assign to '{}'", describe(current())));
    }
    const Token name = take();
    fail_if_reserved(name);
    auto* target = make<NameExpr>(name.line, constant(name.text));
    if (with_namespace && skip_op(".")) {
      const Token attribute = expect_identifier();
      return make<NamespaceRef>(name.line, target, constant(attribute.text));
    }
    fail_if_stores_loop(target);
    return target;
  }

  Expr* parse_target_list(bool with_namespace, std::string_view end, uint32_t line) {
    std::vector<Expr*> items;
    bool is_tuple = false;
    while (true) {
      if (!items.empty() && (at_op(")") || at_op("=") || is(TokenKind::kBlockEnd) || (!end.empty() && at_name(end))))
        break;
      items.push_back(parse_one_target(with_namespace));
      if (!skip_op(",")) break;
      is_tuple = true;
    }
    if (!is_tuple) return items[0];
    auto* tuple = make<SequenceExpr>(ExprKind::kTuple, line);
    tuple->items = std::move(items);
    return tuple;
  }

  Expr* parse_target(bool with_namespace, std::string_view end) {
    return parse_target_list(with_namespace, end, current().line);
  }

  int loops_ = 0;  // of this function, around the current token
};

}  // namespace

std::unique_ptr<Program> parse(std::string_view source) {
  auto program = std::make_unique<Program>();
  program->source = normalise_newlines(source);
  Parser(*program).run();
  resolve_names(*program);
  return program;
}

}  // namespace fieldprint::jinja
