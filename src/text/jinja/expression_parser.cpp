#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

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
  include(expr.more_arguments);
  include(expr.more_keywords);
  if (expr.depth > kMaxExprDepth) {
    unsupported(fmt::format("an expression of more than {} levels", kMaxExprDepth));
  }
}

ExprPtr ExpressionParser::parse_expression() {
  const Nesting nesting(*this, level_, kMaxNesting);
  const std::size_t unknown_before = unknown_.size();
  ExprPtr value = parse_or();
  while (is_word("if")) {
    const int line = take().line;
    ExprPtr condition = parse_or();
    ExprPtr otherwise = skip_word("else") ? parse_expression() : nullptr;
    value = combine(ExprKind::kConditional, line, std::move(value), std::move(condition),
                    std::move(otherwise));
    unknown_.resize(std::min(unknown_before, unknown_.size()));
  }
  return value;
}

void ExpressionParser::note_unknown(int line, std::string what) {
  if (!is_conditional_) unknown_.push_back({line, std::move(what)});
}

void ExpressionParser::check_unknown_names() const {
  if (unknown_.empty()) return;
  fail(ErrorCode::kUnsupported, "line {}: the {} is not supported", unknown_.front().line,
       unknown_.front().what);
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
  constexpr std::pair<std::string_view, ExprKind> kOperators[] = {{"*", ExprKind::kMultiply},
                                                                  {"/", ExprKind::kDivide},
                                                                  {"//", ExprKind::kFloorDivide},
                                                                  {"%", ExprKind::kModulo}};
  ExprPtr left = parse_power();
  for (;;) {
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& entry) { return is_operator(entry.first); });
    if (found == std::end(kOperators)) return left;
    const int line = take().line;
    left = combine(found->second, line, std::move(left), parse_power());
  }
}

ExprPtr ExpressionParser::parse_power() {
  ExprPtr left = parse_unary();
  while (is_operator("**")) {
    const int line = take().line;
    left = combine(ExprKind::kPower, line, std::move(left), parse_unary());
  }
  return left;
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

ExprPtr ExpressionParser::parse_name(int line) {
  std::string name = take().text;
  if (name == "true" || name == "True") return constant(line, true);
  if (name == "false" || name == "False") return constant(line, false);
  if (name == "none" || name == "None") return constant(line, None{});
  for (SpecialNames* special : special_names_) {
    special->caller = special->caller || name == "caller";
    special->keywords = special->keywords || name == "kwargs";
    special->arguments = special->arguments || name == "varargs";
  }
  ExprPtr expr = node(ExprKind::kName, line);
  expr->name = std::move(name);
  return expr;
}

ExprPtr ExpressionParser::parse_primary() {
  const int line = peek().line;
  if (is(TokenKind::kName)) return parse_name(line);
  if (is(TokenKind::kString)) {
    std::string text;
    while (is(TokenKind::kString)) text += take().text;
    return constant(line, text_value(std::move(text)));
  }
  if (is(TokenKind::kInteger)) return constant(line, std::int64_t{std::stoll(take().text)});
  if (is(TokenKind::kFloat)) return constant(line, std::strtod(take().text.c_str(), nullptr));
  if (skip_operator("(")) {
    ExprPtr inside = parse_tuple_of(&ExpressionParser::parse_expression, true);
    expect_operator(")");
    return inside;
  }
  if (skip_operator("[")) {
    return node(ExprKind::kList, line, parse_items("]"));
  }
  if (skip_operator("{")) return parse_dict(line);
  expected("an expression");
}

bool ExpressionParser::is_tuple_end() const {
  return is(TokenKind::kOutputEnd) || is(TokenKind::kTagEnd) || is_operator(")") ||
         is_word("recursive");
}

ExprPtr ExpressionParser::parse_tuple_of(ExprPtr (ExpressionParser::*parse_part)(),
                                         bool may_be_empty) {
  const Nesting nesting(*this, level_, kMaxNesting);
  const int line = peek().line;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (!is_tuple_end()) {
    items.push_back((this->*parse_part)());
    if (!skip_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && items.size() == 1) return std::move(items.front());
  if (!is_tuple && !may_be_empty) expected("an expression");
  return node(ExprKind::kTuple, line, std::move(items));
}

ExprPtr ExpressionParser::parse_tuple() {
  return parse_tuple_of(&ExpressionParser::parse_expression, false);
}

ExprPtr ExpressionParser::parse_tuple_without_condition() {
  return parse_tuple_of(&ExpressionParser::parse_or, false);
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

}  // namespace fdllm::jinja
