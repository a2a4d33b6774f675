#include "jinja/expression_parser.h"

#include <fmt/format.h>

#include <charconv>

#include "base/number.h"
#include "fieldprint/error.h"
#include "jinja/builtins.h"

namespace fieldprint::jinja {

void ExpressionParser::fail_too_deep() { throw Error(ErrorKind::kLimit, "the chat template is nested too deeply"); }

std::string ExpressionParser::describe(const Token& token) {
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

void ExpressionParser::fail_expected(std::string_view what) const {
  if (is(TokenKind::kEnd)) fail_at(current().line, fmt::format("unexpected end of template, expected '{}'.", what));
  fail_at(current().line, fmt::format("expected token '{}', got '{}'", what, describe(current())));
}

Expr* ExpressionParser::parse_expression(bool with_conditional) {
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

Expr* ExpressionParser::parse_or() {
  Expr* left = parse_and();
  while (at_name("or")) left = combine(ExprKind::kOr, BinaryOp::kAdd, left, &ExpressionParser::parse_and);
  return left;
}

Expr* ExpressionParser::parse_and() {
  Expr* left = parse_not();
  while (at_name("and")) left = combine(ExprKind::kAnd, BinaryOp::kAdd, left, &ExpressionParser::parse_not);
  return left;
}

Expr* ExpressionParser::combine(ExprKind kind, BinaryOp op, Expr* left, Expr* (ExpressionParser::*parse_right)()) {
  const uint32_t line = take().line;
  Expr* right = (this->*parse_right)();
  return adopt(make<BinaryExpr>(kind, line, op, left, right), {left, right});
}

Expr* ExpressionParser::parse_not() {
  if (!at_name("not")) return parse_compare();
  const Level level(*this);
  const uint32_t line = take().line;
  Expr* operand = parse_not();
  return adopt(make<UnaryExpr>(ExprKind::kNot, line, operand), {operand});
}

std::optional<CompareOp> ExpressionParser::take_comparison() {
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

Expr* ExpressionParser::parse_compare() {
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

Expr* ExpressionParser::parse_sum() {
  Expr* left = parse_concat();
  while (at_op("+") || at_op("-")) {
    left =
        combine(ExprKind::kBinary, at_op("+") ? BinaryOp::kAdd : BinaryOp::kSub, left, &ExpressionParser::parse_concat);
  }
  return left;
}

Expr* ExpressionParser::parse_concat() {
  Expr* first = parse_product();
  if (!at_op("~")) return first;
  auto* concat = make<SequenceExpr>(ExprKind::kConcat, current().line);
  concat->items.push_back(first);
  while (skip_op("~")) concat->items.push_back(parse_product());
  for (const Expr* item : concat->items) adopt(concat, {item});
  return concat;
}

Expr* ExpressionParser::parse_product() {
  static constexpr std::pair<std::string_view, BinaryOp> kOps[] = {
      {"*", BinaryOp::kMul}, {"/", BinaryOp::kDiv}, {"//", BinaryOp::kFloorDiv}, {"%", BinaryOp::kMod}};
  Expr* left = parse_power();
  for (bool found = true; found;) {
    found = false;
    for (const auto& [text, op] : kOps) {
      if (!at_op(text)) continue;
      left = combine(ExprKind::kBinary, op, left, &ExpressionParser::parse_power);
      found = true;
      break;
    }
  }
  return left;
}

Expr* ExpressionParser::parse_power() {
  Expr* left = parse_filtered_unary();
  while (at_op("**")) left = combine(ExprKind::kBinary, BinaryOp::kPow, left, &ExpressionParser::parse_filtered_unary);
  return left;
}

Expr* ExpressionParser::parse_filtered_unary() { return parse_unary(true); }

Expr* ExpressionParser::parse_unary(bool with_filter) {
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

Expr* ExpressionParser::parse_primary() {
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

Expr* ExpressionParser::parse_name() {
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

Expr* ExpressionParser::parse_string() {
  const Token token = take();
  if (!is(TokenKind::kString)) return make<ConstExpr>(token.line, constant(token.text));
  std::string text(token.text);  // literals side by side are one
  while (is(TokenKind::kString)) text += take().text;
  return make<ConstExpr>(token.line, constant(text));
}

Expr* ExpressionParser::parse_number() {
  const Token token = take();
  std::string digits;
  for (const char c : token.text) {
    if (c != '_') digits += c;
  }
  if (token.kind == TokenKind::kFloat) {
    return make<ConstExpr>(token.line, Value::real(strtod_c(digits.c_str())));
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
  return make<ConstExpr>(token.line, program_.heap.make<BigInt>(exact.str().view(), strtod_c(digits.c_str())));
}

Expr* ExpressionParser::parse_tuple(bool with_conditional, std::string_view end, bool in_parentheses) {
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

Expr* ExpressionParser::parse_list() {
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

Expr* ExpressionParser::parse_dict() {
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

Expr* ExpressionParser::parse_postfix(Expr* node) {
  while (true) {
    if (at_op(".")) node = parse_dotted(node);
    else if (at_op("[")) node = parse_subscript(node);
    else if (at_op("(")) node = parse_call(node);
    else return node;
  }
}

Expr* ExpressionParser::parse_filter_postfix(Expr* node) {
  while (true) {
    if (at_op("|")) node = parse_filters(node);
    else if (at_name("is")) node = parse_test(node);
    else if (at_op("(")) node = parse_call(node);
    else return node;
  }
}

Expr* ExpressionParser::parse_dotted(Expr* object) {
  const uint32_t line = take().line;
  if (is(TokenKind::kName)) {
    return adopt(make<AttributeExpr>(line, object, constant(take().text)), {object});
  }
  if (!is(TokenKind::kInteger)) fail_at(current().line, "expected name or number");
  Expr* index = parse_number();
  return adopt(make<ItemExpr>(line, object, index), {object});
}

Expr* ExpressionParser::parse_subscript(Expr* object) {
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

bool ExpressionParser::is_slice_start() const { return at_op(":"); }

Expr* ExpressionParser::parse_slice(uint32_t line, Expr* object, Expr* start) {
  auto* slice = make<SliceExpr>(line);
  slice->object = object;
  slice->start = start;
  const auto bound = [&]() -> Expr* { return at_op(":") || at_op("]") || at_op(",") ? nullptr : parse_expression(); };
  expect_op(":");
  slice->stop = bound();
  if (skip_op(":")) slice->step = bound();
  return adopt(slice, {object, start, slice->stop, slice->step});
}

void ExpressionParser::parse_arguments(Expr* owner, Arguments& arguments) {
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
      if (arguments.keywords.size() == kMaxArguments) fail_at(name.line, "a call has too many named arguments");
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

Expr* ExpressionParser::parse_call(Expr* callee) {
  auto* call = adopt(make<CallExpr>(current().line, callee), {callee});
  parse_arguments(call, call->arguments);
  return call;
}

std::string_view ExpressionParser::parse_dotted_name() {
  std::string name(expect_identifier().text);
  while (skip_op(".")) name += '.', name += expect_identifier().text;
  return constant(name).str().view();
}

Expr* ExpressionParser::parse_filter(Expr* subject) {
  const uint32_t line = current().line;
  const std::string_view name = parse_dotted_name();
  auto* filter = adopt(make<FilterExpr>(ExprKind::kFilter, line, subject, name), {subject});
  filter->function = find_filter(name);
  if (at_op("(")) parse_arguments(filter, filter->arguments);
  return filter;
}

Expr* ExpressionParser::parse_filters(Expr* subject) {
  while (skip_op("|")) subject = parse_filter(subject);
  return subject;
}

Expr* ExpressionParser::parse_test(Expr* subject) {
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

}  // namespace fieldprint::jinja
