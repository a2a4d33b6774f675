// The part of the parser that reads expressions, and its hold on the tokens. Statements: parser.cpp.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace fieldprint::jinja {

using Tags = std::initializer_list<std::string_view>;

// Methods take the tokens they understand; what they cannot is a SyntaxFailure, too deep a nesting Error kLimit.
class ExpressionParser {
 public:
  explicit ExpressionParser(Program& program) : program_(program), tokens_(tokenize(program)) {}

 protected:
  static constexpr int kMaxNesting = 200;          // of brackets and blocks
  static constexpr uint32_t kMaxExprDepth = 1000;  // of an expression's tree: chains like a + b + c + ...
  static constexpr size_t kMaxArguments = 255;     // named ones of a call, and parameters of a macro

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

  static std::string describe(const Token& token);
  [[noreturn]] void fail_expected(std::string_view what) const;
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

  [[noreturn]] static void fail_too_deep();

  struct Level {
    explicit Level(ExpressionParser& parser) : depth(parser.nesting_) {
      if (++depth > kMaxNesting) fail_too_deep();
    }
    ~Level() { --depth; }
    int& depth;
  };

  Value constant(std::string_view text) { return make_literal(program_.heap, text); }

  bool at_tag(Tags tags) const {
    if (!is(TokenKind::kName)) return false;
    for (const std::string_view tag : tags) {
      if (current().text == tag) return true;
    }
    return false;
  }

  // Expressions, loosest binding first.
  Expr* parse_expression(bool with_conditional = true);
  Expr* parse_or();
  Expr* parse_and();
  // Takes the operator, parses the right side.
  Expr* combine(ExprKind kind, BinaryOp op, Expr* left, Expr* (ExpressionParser::*parse_right)());
  Expr* parse_not();
  std::optional<CompareOp> take_comparison();
  Expr* parse_compare();
  Expr* parse_sum();
  Expr* parse_concat();
  Expr* parse_product();
  Expr* parse_power();
  Expr* parse_filtered_unary();
  Expr* parse_unary(bool with_filter);
  Expr* parse_primary();
  Expr* parse_name();
  Expr* parse_string();
  Expr* parse_number();
  // One expression, or several with commas.
  Expr* parse_tuple(bool with_conditional = true, std::string_view end = {}, bool in_parentheses = false);
  Expr* parse_list();
  Expr* parse_dict();
  Expr* parse_postfix(Expr* node);
  Expr* parse_filter_postfix(Expr* node);
  Expr* parse_dotted(Expr* object);
  Expr* parse_subscript(Expr* object);
  bool is_slice_start() const;
  // From the first colon on.
  Expr* parse_slice(uint32_t line, Expr* object, Expr* start);
  void parse_arguments(Expr* owner, Arguments& arguments);
  Expr* parse_call(Expr* callee);
  std::string_view parse_dotted_name();
  // The filter whose name is the current token.
  Expr* parse_filter(Expr* subject);
  Expr* parse_filters(Expr* subject);
  Expr* parse_test(Expr* subject);

  Program& program_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int nesting_ = 0;
  size_t loop_mentions_ = 0, caller_mentions_ = 0, kwargs_mentions_ = 0, varargs_mentions_ = 0;
};

}  // namespace fieldprint::jinja
