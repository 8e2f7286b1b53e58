#include "text/jinja_expression_parser.h"

#include <algorithm>
#include <array>

namespace fdllm::jinja {
namespace {

/// Bounds the recursion of the parser, of the renderer and of destruction.
constexpr int kMaxNesting = 200;
constexpr int kMaxExprDepth = 400;

}  // namespace

ExprPtr ExpressionParser::node(ExprKind kind, int line, std::vector<ExprPtr> operands) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  expr->operands = std::move(operands);
  settle_depth(*expr);
  return expr;
}

void ExpressionParser::settle_depth(Expr& expr) {
  const auto include = [&](const ExprPtr& part) {
    if (part) expr.depth = std::max(expr.depth, part->depth + 1);
  };
  for (const ExprPtr& part : expr.operands) include(part);
  for (const auto& [name, part] : expr.keywords) include(part);
  if (expr.depth > kMaxExprDepth) {
    unsupported(fmt::format("an expression of more than {} levels", kMaxExprDepth));
  }
}

ExprPtr ExpressionParser::parse_expression() {
  const Nesting nesting(*this, level_, kMaxNesting);
  ExprPtr value = parse_or();
  while (is_word("if")) {
    const int line = take().line;
    ExprPtr condition = parse_or();
    ExprPtr otherwise = skip_word("else") ? parse_expression() : nullptr;
    value = combine(ExprKind::kConditional, line, std::move(value), std::move(condition),
                    std::move(otherwise));
  }
  return value;
}

ExprPtr ExpressionParser::parse_or() {
  ExprPtr left = parse_and();
  while (is_word("or")) {
    const int line = take().line;
    left = combine(ExprKind::kOr, line, std::move(left), parse_and());
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  ExprPtr left = parse_not();
  while (is_word("and")) {
    const int line = take().line;
    left = combine(ExprKind::kAnd, line, std::move(left), parse_not());
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  if (!is_word("not")) return parse_compare();
  const Nesting nesting(*this, level_, kMaxNesting);
  const int line = take().line;
  return combine(ExprKind::kNot, line, parse_not());
}

std::optional<Comparison> ExpressionParser::take_comparison() {
  constexpr std::pair<std::string_view, Comparison> kOperators[] = {
      {"==", Comparison::kEqual},     {"!=", Comparison::kUnequal},
      {"<=", Comparison::kLessEqual}, {">=", Comparison::kGreaterEqual},
      {"<", Comparison::kLess},       {">", Comparison::kGreater}};
  for (const auto& [text, comparison] : kOperators) {
    if (skip_operator(text)) return comparison;
  }
  if (skip_word("in")) return Comparison::kIn;
  if (is_word("not") && peek(1).kind == TokenKind::kName && peek(1).text == "in") {
    take();
    take();
    return Comparison::kNotIn;
  }
  return std::nullopt;
}

ExprPtr ExpressionParser::parse_compare() {
  ExprPtr first = parse_sum();
  const int line = peek().line;
  std::vector<Comparison> comparisons;
  std::vector<ExprPtr> operands;
  while (const auto comparison = take_comparison()) {
    comparisons.push_back(*comparison);
    operands.push_back(parse_sum());
  }
  if (comparisons.empty()) return first;
  operands.insert(operands.begin(), std::move(first));
  ExprPtr compare = node(ExprKind::kCompare, line, std::move(operands));
  compare->comparisons = std::move(comparisons);
  return compare;
}

ExprPtr ExpressionParser::parse_sum() {
  ExprPtr left = parse_concat();
  while (is_operator("+") || is_operator("-")) {
    const Token token = take();
    const ExprKind kind = token.text == "+" ? ExprKind::kAdd : ExprKind::kSubtract;
    left = combine(kind, token.line, std::move(left), parse_concat());
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  ExprPtr first = parse_product();
  if (!is_operator("~")) return first;
  const int line = peek().line;
  std::vector<ExprPtr> operands;
  operands.push_back(std::move(first));
  while (skip_operator("~")) operands.push_back(parse_product());
  return node(ExprKind::kConcat, line, std::move(operands));
}

ExprPtr ExpressionParser::parse_product() {
  ExprPtr left = parse_unary();
  for (;;) {
    if (is_operator("**")) unsupported("the operator '**'");
    if (is_operator("/")) unsupported("the operator '/'");
    if (!is_operator("*") && !is_operator("//") && !is_operator("%")) return left;
    const Token token = take();
    const ExprKind kind = token.text == "*"    ? ExprKind::kMultiply
                          : token.text == "//" ? ExprKind::kFloorDivide
                                               : ExprKind::kModulo;
    left = combine(kind, token.line, std::move(left), parse_unary());
  }
}

ExprPtr ExpressionParser::parse_unary() {
  return parse_filters(parse_signed());
}

ExprPtr ExpressionParser::parse_signed() {
  const Nesting nesting(*this, level_, kMaxNesting);
  if (is_operator("-") || is_operator("+")) {
    const Token token = take();
    const ExprKind kind = token.text == "-" ? ExprKind::kNegative : ExprKind::kPositive;
    return combine(kind, token.line, parse_signed());
  }
  return parse_postfix(parse_primary());
}

ExprPtr ExpressionParser::constant(int line, Value value) {
  ExprPtr expr = node(ExprKind::kConstant, line);
  expr->constant = std::move(value);
  return expr;
}

ExprPtr ExpressionParser::parse_primary() {
  const int line = peek().line;
  if (is(TokenKind::kName)) {
    std::string name = take().text;
    if (name == "true" || name == "True") return constant(line, true);
    if (name == "false" || name == "False") return constant(line, false);
    if (name == "none" || name == "None") return constant(line, None{});
    ExprPtr expr = node(ExprKind::kName, line);
    expr->name = std::move(name);
    return expr;
  }
  if (is(TokenKind::kString)) {
    std::string text;
    while (is(TokenKind::kString)) text += take().text;
    return constant(line, text_value(std::move(text)));
  }
  if (is(TokenKind::kInteger)) return constant(line, std::int64_t{std::stoll(take().text)});
  if (skip_operator("(")) return parse_parenthesized(line);
  if (skip_operator("[")) {
    return node(ExprKind::kList, line, parse_items("]"));
  }
  if (skip_operator("{")) return parse_dict(line);
  expected("an expression");
}

std::vector<ExprPtr> ExpressionParser::parse_items(std::string_view close) {
  std::vector<ExprPtr> items;
  while (!skip_operator(close)) {
    if (!items.empty()) {
      expect_operator(",");
      if (skip_operator(close)) break;
    }
    items.push_back(parse_expression());
  }
  return items;
}

ExprPtr ExpressionParser::parse_parenthesized(int line) {
  if (skip_operator(")")) return node(ExprKind::kList, line);
  ExprPtr first = parse_expression();
  if (skip_operator(")")) return first;
  expect_operator(",");
  std::vector<ExprPtr> items = parse_items(")");
  items.insert(items.begin(), std::move(first));
  return node(ExprKind::kList, line, std::move(items));
}

ExprPtr ExpressionParser::parse_dict(int line) {
  std::vector<ExprPtr> parts;
  while (!skip_operator("}")) {
    if (!parts.empty()) {
      expect_operator(",");
      if (skip_operator("}")) break;
    }
    parts.push_back(parse_expression());
    expect_operator(":");
    parts.push_back(parse_expression());
  }
  return node(ExprKind::kDict, line, std::move(parts));
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr expr) {
  for (;;) {
    const int line = peek().line;
    if (skip_operator(".")) {
      if (is(TokenKind::kInteger)) {
        expr = combine(ExprKind::kItem, line, std::move(expr),
                       constant(line, std::int64_t{std::stoll(take().text)}));
      } else {
        std::string name = expect_name();
        expr = combine(ExprKind::kAttribute, line, std::move(expr));
        expr->name = std::move(name);
      }
    } else if (skip_operator("[")) {
      expr = parse_subscript(std::move(expr), line);
    } else if (is_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object, int line) {
  std::array<ExprPtr, 3> parts;
  std::size_t colons = 0;
  while (!skip_operator("]")) {
    if (is_operator(",")) unsupported("a subscript with a comma");
    if (skip_operator(":")) {
      if (++colons > 2) expected("']'");
    } else {
      if (parts[colons]) expected("']'");
      parts[colons] = parse_expression();
    }
  }
  if (colons > 0) {
    return combine(ExprKind::kSlice, line, std::move(object), std::move(parts[0]),
                   std::move(parts[1]), std::move(parts[2]));
  }
  if (!parts[0]) expected("an index");
  return combine(ExprKind::kItem, line, std::move(object), std::move(parts[0]));
}

void ExpressionParser::parse_arguments(Expr& expr) {
  expect_operator("(");
  bool first = true;
  while (!skip_operator(")")) {
    if (!first) {
      expect_operator(",");
      if (skip_operator(")")) break;
    }
    first = false;
    if (is_operator("*") || is_operator("**")) unsupported("unpacking arguments");
    if (is(TokenKind::kName) && peek(1).kind == TokenKind::kOperator && peek(1).text == "=") {
      std::string name = take().text;
      take();
      expr.keywords.emplace_back(std::move(name), parse_expression());
    } else {
      if (!expr.keywords.empty()) expected("a keyword argument");
      expr.operands.push_back(parse_expression());
    }
  }
  settle_depth(expr);
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  if (callee->kind == ExprKind::kName) {
    callee->kind = ExprKind::kFunction;
  } else if (callee->kind == ExprKind::kAttribute) {
    callee->kind = ExprKind::kMethod;
  } else {
    unsupported("calling what is neither a name nor a method");
  }
  parse_arguments(*callee);
  return callee;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr expr) {
  for (;;) {
    const int line = peek().line;
    if (skip_operator("|")) {
      std::string name = expect_dotted_name();
      expr = combine(ExprKind::kFilter, line, std::move(expr));
      expr->name = std::move(name);
      if (is_operator("(")) parse_arguments(*expr);
    } else if (skip_word("is")) {
      expr = parse_test(std::move(expr), line);
    } else {
      return expr;
    }
    if (is_operator("(")) unsupported("calling the result of a filter or test");
  }
}

ExprPtr ExpressionParser::parse_test(ExprPtr value, int line) {
  const bool negated = skip_word("not");
  std::string name = expect_dotted_name();
  ExprPtr test = combine(ExprKind::kTest, line, std::move(value));
  test->name = std::move(name);
  if (is_word("is")) expected("no second test after a test");
  if (is_operator("(")) {
    parse_arguments(*test);
  } else if (is(TokenKind::kString) || is(TokenKind::kInteger) || is_operator("[") ||
             is_operator("{") ||
             (is(TokenKind::kName) && !is_word("else") && !is_word("or") && !is_word("and"))) {
    // A single argument may follow without parentheses: x is divisibleby 3.
    test->operands.push_back(parse_postfix(parse_primary()));
    settle_depth(*test);
  }
  return negated ? combine(ExprKind::kNot, line, std::move(test)) : std::move(test);
}

}  // namespace fdllm::jinja
