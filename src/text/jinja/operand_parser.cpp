// What follows an operand of an expression: attributes, items, arguments, filters and tests.
#include <algorithm>
#include <array>

#include "text/jinja/expression_parser.h"
#include "text/jinja/filters.h"
#include "text/jinja/tests.h"

namespace fdllm::jinja {

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
      expr = combine(ExprKind::kCall, line, std::move(expr));
      parse_arguments(*expr);
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object, int line) {
  if (is_operator("]")) {  // Python's empty tuple as a key
    take();
    return combine(ExprKind::kItem, line, std::move(object), node(ExprKind::kTuple, line));
  }
  ExprPtr subscript = parse_slice_or_item(std::move(object), line);
  if (is_operator(",")) {
    if (subscript->kind == ExprKind::kSlice) unsupported("a slice in a tuple");
    std::vector<ExprPtr> items;
    items.push_back(std::move(subscript->operands[1]));
    while (skip_operator(",")) items.push_back(parse_expression());
    subscript->operands[1] = node(ExprKind::kTuple, line, std::move(items));
    settle_depth(*subscript);
  }
  expect_operator("]");
  return subscript;
}

ExprPtr ExpressionParser::parse_slice_or_item(ExprPtr object, int line) {
  const auto at_end = [&] { return is_operator(":") || is_operator("]") || is_operator(","); };
  std::array<ExprPtr, 3> parts;
  if (!is_operator(":")) parts[0] = parse_expression();
  if (!is_operator(":")) {
    return combine(ExprKind::kItem, line, std::move(object), std::move(parts[0]));
  }
  take();
  if (!at_end()) parts[1] = parse_expression();
  if (skip_operator(":") && !at_end()) parts[2] = parse_expression();
  return combine(ExprKind::kSlice, line, std::move(object), std::move(parts[0]),
                 std::move(parts[1]), std::move(parts[2]));
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
    parse_argument(expr);
  }
  settle_depth(expr);
}

void ExpressionParser::parse_argument(Expr& expr) {
  if (expr.more_keywords) expected("')' after '**'");
  if (skip_operator("**")) {
    expr.more_keywords = parse_expression();
  } else if (is_operator("*")) {
    if (expr.more_arguments) expected("one '*' at most");
    take();
    expr.more_arguments = parse_expression();
  } else if (is(TokenKind::kName) && peek(1).kind == TokenKind::kOperator && peek(1).text == "=") {
    std::string name = take().text;
    const bool is_twice = std::any_of(expr.keywords.begin(), expr.keywords.end(),
                                      [&](const auto& entry) { return entry.first == name; });
    if (is_twice) expected("each argument once");
    take();
    expr.keywords.emplace_back(std::move(name), parse_expression());
  } else {
    if (!expr.keywords.empty() || expr.more_arguments) expected("a keyword argument");
    expr.operands.push_back(parse_expression());
  }
}

ExprPtr ExpressionParser::parse_filters(ExprPtr expr) {
  for (;;) {
    const int line = peek().line;
    if (skip_operator("|")) {
      expr = parse_filter(std::move(expr), line);
    } else if (skip_word("is")) {
      expr = parse_test(std::move(expr), line);
    } else if (is_operator("(")) {
      expr = combine(ExprKind::kCall, line, std::move(expr));
      parse_arguments(*expr);
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_filter(ExprPtr input, int line) {
  std::string name = expect_dotted_name();
  if (!is_filter(name)) note_unknown(line, "filter " + quote(name));
  ExprPtr filter = combine(ExprKind::kFilter, line, std::move(input));
  filter->name = std::move(name);
  if (is_operator("(")) parse_arguments(*filter);
  return filter;
}

ExprPtr ExpressionParser::parse_block_filters() {
  ExprPtr filters;
  while (is_operator("|")) {
    const int line = take().line;
    filters = parse_filter(std::move(filters), line);
  }
  return filters;
}

ExprPtr ExpressionParser::parse_filter_chain() {
  ExprPtr filters = parse_filter(nullptr, peek().line);
  while (is_operator("|")) {
    const int line = take().line;
    filters = parse_filter(std::move(filters), line);
  }
  return filters;
}

ExprPtr ExpressionParser::parse_test(ExprPtr value, int line) {
  const bool negated = skip_word("not");
  std::string name = expect_dotted_name();
  if (!is_test(name)) note_unknown(line, "test " + quote(name));
  ExprPtr test = combine(ExprKind::kTest, line, std::move(value));
  test->name = std::move(name);
  if (is_word("is")) expected("no second test after a test");
  if (is_operator("(")) {
    parse_arguments(*test);
  } else if (is(TokenKind::kString) || is(TokenKind::kInteger) || is(TokenKind::kFloat) ||
             is_operator("[") || is_operator("{") ||
             (is(TokenKind::kName) && !is_word("else") && !is_word("or") && !is_word("and"))) {
    // A single argument may follow without parentheses: x is divisibleby 3.
    test->operands.push_back(parse_postfix(parse_primary()));
    settle_depth(*test);
  }
  return negated ? combine(ExprKind::kNot, line, std::move(test)) : std::move(test);
}

}  // namespace fdllm::jinja
