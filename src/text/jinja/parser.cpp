#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include "fieldprint/error.h"
#include "text/jinja/builtins.h"
#include "text/jinja/lexer.h"
#include "text/jinja/scope.h"

namespace fieldprint::jinja {
namespace {

constexpr int kMaxNesting = 200;          // of brackets and blocks
constexpr uint32_t kMaxExprDepth = 1000;  // of an expression's tree: chains like a + b + c + ...

using Tags = std::initializer_list<std::string_view>;

class Parser {
 public:
  explicit Parser(Program& program) : program_(program), tokens_(tokenize(program)) {}

  void run() { program_.body = parse_block({}); }

 private:
  // Tokens.

  const Token& current() const { return tokens_[next_]; }
  const Token& look() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
  Token take() { return next_ + 1 < tokens_.size() ? tokens_[next_++] : tokens_[next_]; }
  bool is(TokenKind kind) const { return current().kind == kind; }
  static bool is_op(const Token& token, std::string_view op) {
    return token.kind == TokenKind::kOperator && token.text == op;
  }
  bool at_op(std::string_view op) const { return is_op(current(), op); }
  bool at_name(std::string_view name) const { return is(TokenKind::kName) && current().text == name; }
  bool skip_op(std::string_view op) { return at_op(op) && (take(), true); }
  bool skip_name(std::string_view name) { return at_name(name) && (take(), true); }

  [[noreturn]] void fail_at(uint32_t line, std::string message) const { throw SyntaxFailure{std::move(message), line}; }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::kText:
        return "template data / text";
      case TokenKind::kPrintBegin:
        return "begin of print statement";
      case TokenKind::kPrintEnd:
        return "end of print statement";
      case TokenKind::kBlockBegin:
        return "begin of statement block";
      case TokenKind::kBlockEnd:
        return "end of statement block";
      case TokenKind::kString:
        return "string";
      case TokenKind::kInteger:
        return "integer";
      case TokenKind::kFloat:
        return "float";
      case TokenKind::kEnd:
        return "end of template";
      default:
        return std::string(token.text);
    }
  }

  [[noreturn]] void fail_expected(std::string_view what) const {
    if (is(TokenKind::kEnd)) fail_at(current().line, fmt::format("unexpected end of template, expected '{}'.", what));
    fail_at(current().line, fmt::format("expected token '{}', got '{}'", what, describe(current())));
  }
  void expect_op(std::string_view op) {
    if (!skip_op(op)) fail_expected(op);
  }
  void expect_name(std::string_view name) {
    if (!skip_name(name)) fail_expected(name);
  }
  Token expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) fail_expected(what);
    return take();
  }
  Token expect_identifier() { return expect(TokenKind::kName, "name"); }

  // Nodes.

  template <class T, class... A>
  T* make(A&&... args) {
    auto node = std::make_unique<T>(std::forward<A>(args)...);
    T* raw = node.get();
    program_.nodes.push_back(std::move(node));
    return raw;
  }

  template <class T>
  T* adopt(T* parent, std::initializer_list<const Expr*> children) {
    for (const Expr* child : children) {
      if (child && child->depth + 1 > parent->depth) parent->depth = child->depth + 1;
    }
    if (parent->depth > kMaxExprDepth) fail_too_deep();
    return parent;
  }

  [[noreturn]] static void fail_too_deep() { throw Error(ErrorKind::kLimit, "the chat template is nested too deeply"); }

  struct Level {
    explicit Level(Parser& parser) : depth(parser.nesting_) {
      if (++depth > kMaxNesting) fail_too_deep();
    }
    ~Level() { --depth; }
    int& depth;
  };

  Value constant(std::string_view text) { return make_string(program_.heap, text); }

  // Statements.

  bool at_tag(Tags tags) const {
    if (!is(TokenKind::kName)) return false;
    for (const std::string_view tag : tags) {
      if (current().text == tag) return true;
    }
    return false;
  }

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

  // Expressions, loosest binding first.

  Expr* parse_expression(bool with_conditional = true) {
    const Level level(*this);
    if (!with_conditional) return parse_or();
    Expr* result = parse_or();
    while (at_name("if")) {
      const uint32_t line = take().line;
      Expr* test = parse_or();
      Expr* otherwise = skip_name("else") ? parse_expression() : nullptr;
      result = adopt(make<ConditionalExpr>(line, test, result, otherwise), {test, result, otherwise});
    }
    return result;
  }

  Expr* parse_or() {
    Expr* left = parse_and();
    while (at_name("or")) left = combine(ExprKind::kOr, BinaryOp::kAdd, left, &Parser::parse_and);
    return left;
  }

  Expr* parse_and() {
    Expr* left = parse_not();
    while (at_name("and")) left = combine(ExprKind::kAnd, BinaryOp::kAdd, left, &Parser::parse_not);
    return left;
  }

  // Takes the operator, parses the right side.
  Expr* combine(ExprKind kind, BinaryOp op, Expr* left, Expr* (Parser::*parse_right)()) {
    const uint32_t line = take().line;
    Expr* right = (this->*parse_right)();
    return adopt(make<BinaryExpr>(kind, line, op, left, right), {left, right});
  }

  Expr* parse_not() {
    if (!at_name("not")) return parse_compare();
    const Level level(*this);
    const uint32_t line = take().line;
    Expr* operand = parse_not();
    return adopt(make<UnaryExpr>(ExprKind::kNot, line, operand), {operand});
  }

  std::optional<CompareOp> take_comparison() {
    static constexpr std::pair<std::string_view, CompareOp> kOps[] = {{"==", CompareOp::kEq}, {"!=", CompareOp::kNe},
                                                                      {"<", CompareOp::kLt},  {"<=", CompareOp::kLe},
                                                                      {">", CompareOp::kGt},  {">=", CompareOp::kGe}};
    for (const auto& [text, op] : kOps) {
      if (skip_op(text)) return op;
    }
    if (skip_name("in")) return CompareOp::kIn;
    if (at_name("not") && look().kind == TokenKind::kName && look().text == "in") {
      take(), take();
      return CompareOp::kNotIn;
    }
    return std::nullopt;
  }

  Expr* parse_compare() {
    Expr* first = parse_sum();
    CompareExpr* result = nullptr;
    const uint32_t line = current().line;
    while (const auto op = take_comparison()) {
      if (!result) result = adopt(make<CompareExpr>(line, first), {first});
      Expr* right = parse_sum();
      result->rest.emplace_back(*op, right);
      adopt(result, {right});
    }
    return result ? result : first;
  }

  Expr* parse_sum() {
    Expr* left = parse_concat();
    while (at_op("+") || at_op("-")) {
      left = combine(ExprKind::kBinary, at_op("+") ? BinaryOp::kAdd : BinaryOp::kSub, left, &Parser::parse_concat);
    }
    return left;
  }

  Expr* parse_concat() {
    Expr* first = parse_product();
    if (!at_op("~")) return first;
    auto* concat = make<SequenceExpr>(ExprKind::kConcat, current().line);
    concat->items.push_back(first);
    while (skip_op("~")) concat->items.push_back(parse_product());
    for (const Expr* item : concat->items) adopt(concat, {item});
    return concat;
  }

  Expr* parse_product() {
    static constexpr std::pair<std::string_view, BinaryOp> kOps[] = {
        {"*", BinaryOp::kMul}, {"/", BinaryOp::kDiv}, {"//", BinaryOp::kFloorDiv}, {"%", BinaryOp::kMod}};
    Expr* left = parse_power();
    for (bool found = true; found;) {
      found = false;
      for (const auto& [text, op] : kOps) {
        if (!at_op(text)) continue;
        left = combine(ExprKind::kBinary, op, left, &Parser::parse_power);
        found = true;
        break;
      }
    }
    return left;
  }

  Expr* parse_power() {
    Expr* left = parse_filtered_unary();
    while (at_op("**")) left = combine(ExprKind::kBinary, BinaryOp::kPow, left, &Parser::parse_filtered_unary);
    return left;
  }

  Expr* parse_filtered_unary() { return parse_unary(true); }

  Expr* parse_unary(bool with_filter) {
    Expr* node = nullptr;
    if (at_op("-") || at_op("+")) {
      const Level level(*this);
      const Token sign = take();
      Expr* operand = parse_unary(false);
      node = make<UnaryExpr>(sign.text == "-" ? ExprKind::kNegate : ExprKind::kPositive, sign.line, operand);
      adopt(node, {operand});
    } else {
      node = parse_primary();
    }
    node = parse_postfix(node);
    return with_filter ? parse_filter_postfix(node) : node;
  }

  Expr* parse_primary() {
    const Token token = current();
    switch (token.kind) {
      case TokenKind::kName:
        return parse_name();
      case TokenKind::kString:
        return parse_string();
      case TokenKind::kInteger:
      case TokenKind::kFloat:
        return parse_number();
      default:
        break;
    }
    if (skip_op("(")) {
      Expr* inner = parse_tuple(true, {}, true);
      expect_op(")");
      return inner;
    }
    if (at_op("[")) return parse_list();
    if (at_op("{")) return parse_dict();
    fail_at(token.line, fmt::format("unexpected '{}'", describe(token)));
  }

  Expr* parse_name() {
    const Token token = take();
    const std::string_view name = token.text;
    if (name == "true" || name == "True") return make<ConstExpr>(token.line, Value::boolean(true));
    if (name == "false" || name == "False") return make<ConstExpr>(token.line, Value::boolean(false));
    if (name == "none" || name == "None") return make<ConstExpr>(token.line, Value::none());
    loop_mentions_ += name == "loop";
    caller_mentions_ += name == "caller";
    kwargs_mentions_ += name == "kwargs";
    varargs_mentions_ += name == "varargs";
    return make<NameExpr>(token.line, constant(name));
  }

  Expr* parse_string() {
    const Token token = take();
    if (!is(TokenKind::kString)) return make<ConstExpr>(token.line, constant(token.text));
    std::string text(token.text);  // literals side by side are one
    while (is(TokenKind::kString)) text += take().text;
    return make<ConstExpr>(token.line, constant(text));
  }

  Expr* parse_number() {
    const Token token = take();
    std::string digits;
    for (const char c : token.text) {
      if (c != '_') digits += c;
    }
    if (token.kind == TokenKind::kFloat) {
      return make<ConstExpr>(token.line, Value::real(std::strtod(digits.c_str(), nullptr)));
    }
    int base = 10;
    std::string_view text = digits;
    if (text.size() > 2 && text[0] == '0') {
      const char letter = static_cast<char>(text[1] | 32);
      base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
      if (base != 10) text.remove_prefix(2);
    }
    int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value, base).ec == std::errc()) {
      return make<ConstExpr>(token.line, Value::integer(value));
    }
    if (base != 10) fail_at(token.line, "an integer literal does not fit 64 bits");
    const Value exact = constant(text);
    return make<ConstExpr>(token.line,
                           program_.heap.make<BigInt>(exact.str().view(), std::strtod(digits.c_str(), nullptr)));
  }

  // One expression, or several with commas.
  Expr* parse_tuple(bool with_conditional = true, std::string_view end = {}, bool in_parentheses = false) {
    const uint32_t line = current().line;
    std::vector<Expr*> items;
    bool is_tuple = false;
    while (true) {
      if (is(TokenKind::kPrintEnd) || is(TokenKind::kBlockEnd) || at_op(")") || (!end.empty() && at_name(end))) break;
      items.push_back(parse_expression(with_conditional));
      if (!skip_op(",")) break;
      is_tuple = true;
    }
    if (!is_tuple && !items.empty()) return items[0];
    if (!is_tuple && !in_parentheses) {
      fail_at(line, fmt::format("Expected an expression, got '{}'", describe(current())));
    }
    auto* tuple = make<SequenceExpr>(ExprKind::kTuple, line);
    tuple->items = std::move(items);
    for (const Expr* item : tuple->items) adopt(tuple, {item});
    return tuple;
  }

  Expr* parse_list() {
    auto* list = make<SequenceExpr>(ExprKind::kList, take().line);
    while (!at_op("]")) {
      if (!list->items.empty()) {
        expect_op(",");
        if (at_op("]")) break;
      }
      list->items.push_back(parse_expression());
      adopt(list, {list->items.back()});
    }
    expect_op("]");
    return list;
  }

  Expr* parse_dict() {
    auto* dict = make<DictExpr>(take().line);
    while (!at_op("}")) {
      if (!dict->entries.empty()) {
        expect_op(",");
        if (at_op("}")) break;
      }
      Expr* key = parse_expression();
      expect_op(":");
      Expr* value = parse_expression();
      dict->entries.emplace_back(key, value);
      adopt(dict, {key, value});
    }
    expect_op("}");
    return dict;
  }

  Expr* parse_postfix(Expr* node) {
    while (true) {
      if (at_op(".")) node = parse_dotted(node);
      else if (at_op("[")) node = parse_subscript(node);
      else if (at_op("(")) node = parse_call(node);
      else return node;
    }
  }

  Expr* parse_filter_postfix(Expr* node) {
    while (true) {
      if (at_op("|")) node = parse_filters(node);
      else if (at_name("is")) node = parse_test(node);
      else if (at_op("(")) node = parse_call(node);
      else return node;
    }
  }

  Expr* parse_dotted(Expr* object) {
    const uint32_t line = take().line;
    if (is(TokenKind::kName)) {
      return adopt(make<AttributeExpr>(line, object, constant(take().text)), {object});
    }
    if (!is(TokenKind::kInteger)) fail_at(current().line, "expected name or number");
    Expr* index = parse_number();
    return adopt(make<ItemExpr>(line, object, index), {object});
  }

  Expr* parse_subscript(Expr* object) {
    const uint32_t line = take().line;
    std::vector<Expr*> items;
    while (!at_op("]")) {
      if (!items.empty()) expect_op(",");
      if (is_slice_start()) {
        Expr* slice = parse_slice(line, object, nullptr);
        if (!items.empty() || !at_op("]")) fail_at(line, "a slice stands alone between its brackets");
        take();
        return slice;
      }
      Expr* item = parse_expression();
      if (at_op(":")) {
        Expr* slice = parse_slice(line, object, item);
        if (!items.empty() || !at_op("]")) fail_at(line, "a slice stands alone between its brackets");
        take();
        return slice;
      }
      items.push_back(item);
    }
    expect_op("]");
    Expr* index = items.empty() ? nullptr : items[0];
    if (items.size() != 1) {
      auto* tuple = make<SequenceExpr>(ExprKind::kTuple, line);
      tuple->items = std::move(items);
      for (const Expr* item : tuple->items) adopt(tuple, {item});
      index = tuple;
    }
    return adopt(make<ItemExpr>(line, object, index), {object, index});
  }

  bool is_slice_start() const { return at_op(":"); }

  // From the first colon on.
  Expr* parse_slice(uint32_t line, Expr* object, Expr* start) {
    auto* slice = make<SliceExpr>(line);
    slice->object = object;
    slice->start = start;
    const auto bound = [&]() -> Expr* { return at_op(":") || at_op("]") || at_op(",") ? nullptr : parse_expression(); };
    expect_op(":");
    slice->stop = bound();
    if (skip_op(":")) slice->step = bound();
    return adopt(slice, {object, start, slice->stop, slice->step});
  }

  void parse_arguments(Expr* owner, Arguments& arguments) {
    const Token open = current();
    expect_op("(");
    const auto ensure = [&](bool ok) {
      if (!ok) fail_at(open.line, "invalid syntax for function call expression");
    };
    bool first = true;
    while (!at_op(")")) {
      if (!first) {
        expect_op(",");
        if (at_op(")")) break;
      }
      first = false;
      Expr* value = nullptr;
      if (skip_op("*")) {
        ensure(!arguments.spread && !arguments.spread_keywords);
        value = arguments.spread = parse_expression();
      } else if (skip_op("**")) {
        ensure(!arguments.spread_keywords);
        value = arguments.spread_keywords = parse_expression();
      } else if (is(TokenKind::kName) && is_op(look(), "=")) {
        ensure(!arguments.spread_keywords);
        const Token name = take();
        take();
        for (const auto& [other, unused] : arguments.keywords) {
          if (other == name.text) fail_at(name.line, fmt::format("keyword argument repeated: {}", name.text));
        }
        value = parse_expression();
        arguments.keywords.emplace_back(constant(name.text).str().view(), value);
      } else {
        ensure(!arguments.spread && !arguments.spread_keywords && arguments.keywords.empty());
        value = parse_expression();
        arguments.positional.push_back(value);
      }
      adopt(owner, {value});
    }
    expect_op(")");
  }

  Expr* parse_call(Expr* callee) {
    auto* call = adopt(make<CallExpr>(current().line, callee), {callee});
    parse_arguments(call, call->arguments);
    return call;
  }

  std::string_view parse_dotted_name() {
    std::string name(expect_identifier().text);
    while (skip_op(".")) name += '.', name += expect_identifier().text;
    return constant(name).str().view();
  }

  // The filter whose name is the current token.
  Expr* parse_filter(Expr* subject) {
    const uint32_t line = current().line;
    const std::string_view name = parse_dotted_name();
    auto* filter = adopt(make<FilterExpr>(ExprKind::kFilter, line, subject, name), {subject});
    filter->function = find_filter(name);
    if (at_op("(")) parse_arguments(filter, filter->arguments);
    return filter;
  }

  Expr* parse_filters(Expr* subject) {
    while (skip_op("|")) subject = parse_filter(subject);
    return subject;
  }

  Expr* parse_test(Expr* subject) {
    const uint32_t line = take().line;
    const bool negated = skip_name("not");
    const std::string_view name = parse_dotted_name();
    auto* test = adopt(make<FilterExpr>(ExprKind::kTest, line, subject, name), {subject});
    test->function = find_test(name);
    const bool operand = is(TokenKind::kName) || is(TokenKind::kString) || is(TokenKind::kInteger) ||
                         is(TokenKind::kFloat) || at_op("[") || at_op("{");
    if (at_op("(")) {
      parse_arguments(test, test->arguments);
    } else if (operand && !at_tag({"else", "or", "and"})) {
      if (at_name("is")) fail_at(current().line, "You cannot chain multiple tests with is");
      const Level level(*this);
      Expr* argument = parse_postfix(parse_primary());
      test->arguments.positional.push_back(argument);
      adopt(test, {argument});
    }
    if (!negated) return test;
    return adopt(make<UnaryExpr>(ExprKind::kNot, line, test), {test});
  }

  Program& program_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int nesting_ = 0;
  int loops_ = 0;  // of this function, around the current token
  size_t loop_mentions_ = 0, caller_mentions_ = 0, kwargs_mentions_ = 0, varargs_mentions_ = 0;
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
