#include "text/jinja_parser.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja_lexer.h"

namespace fdllm::jinja {
namespace {

/// Bounds the recursion of the parser, of the renderer and of destruction.
constexpr int kMaxNesting = 100;
constexpr int kMaxExprDepth = 400;
constexpr int kMaxBlockDepth = 50;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)) {}

  Block run() {
    Block block = parse_block({});
    return block;
  }

 private:
  struct Nesting {
    Nesting(Parser& parser, int& level, int limit) : level_(level) {
      if (++level_ > limit) parser.unsupported(fmt::format("nesting deeper than {}", limit));
    }
    ~Nesting() { --level_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    int& level_;
  };

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(index_ + ahead, tokens_.size() - 1)];
  }
  Token take() {
    Token token = peek();
    if (index_ + 1 < tokens_.size()) ++index_;
    return token;
  }
  bool is(TokenKind kind, std::string_view text = {}) const {
    return peek().kind == kind && (text.empty() || peek().text == text);
  }
  bool is_operator(std::string_view text) const { return is(TokenKind::kOperator, text); }
  bool is_word(std::string_view text) const { return is(TokenKind::kName, text); }
  bool skip(TokenKind kind, std::string_view text) {
    const bool found = is(kind, text);
    if (found) take();
    return found;
  }
  bool skip_operator(std::string_view text) { return skip(TokenKind::kOperator, text); }
  bool skip_word(std::string_view text) { return skip(TokenKind::kName, text); }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::kEnd:
        return "the template's end";
      case TokenKind::kTagEnd:
        return "'%}'";
      case TokenKind::kOutputEnd:
        return "'}}'";
      default:
        return quote(token.text);
    }
  }
  [[noreturn]] void expected(std::string_view what) const {
    fail(ErrorCode::kCorruptFile, "chat template: line {}: expected {}, found {}", peek().line,
         what, describe(peek()));
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    fail(ErrorCode::kUnsupported, "chat template: line {}: {} is not supported", peek().line, what);
  }
  void expect_operator(std::string_view text) {
    if (!skip_operator(text)) expected(fmt::format("'{}'", text));
  }
  std::string expect_name() {
    if (!is(TokenKind::kName)) expected("a name");
    return take().text;
  }
  /// The name of a filter or test, which may be several joined by dots.
  std::string expect_dotted_name() {
    std::string name = expect_name();
    while (skip_operator(".")) name += "." + expect_name();
    return name;
  }
  void expect_tag_end() {
    if (is_operator(",")) unsupported("a tuple without parentheses");
    if (!is(TokenKind::kTagEnd)) expected("'%}'");
    take();
  }

  // --- statements ---

  /// Up to a tag whose name is in `ends`; that tag's name has been taken, its rest has not. Without
  /// `ends` up to the template's end.
  Block parse_block(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(*this, block_level_, kMaxBlockDepth);
    Block block;
    for (;;) {
      if (is(TokenKind::kEnd)) {
        if (ends.size() > 0) expected(fmt::format("'{{% {} %}}'", *(ends.end() - 1)));
        return block;
      }
      Token token = take();
      if (token.kind == TokenKind::kData) {
        Statement data{
            StatementKind::kData, token.line, std::move(token.text), {}, {}, {}, {}, {}, {}};
        block.push_back(std::move(data));
      } else if (token.kind == TokenKind::kOutputBegin) {
        Statement output = make(StatementKind::kOutput, token.line);
        output.expression = parse_expression();
        if (is_operator(",")) unsupported("a tuple without parentheses");
        if (!is(TokenKind::kOutputEnd)) expected("'}}'");
        take();
        block.push_back(std::move(output));
      } else {
        if (!is(TokenKind::kName)) expected("a tag's name");
        if (std::find(ends.begin(), ends.end(), peek().text) != ends.end()) {
          end_name_ = take().text;
          return block;
        }
        block.push_back(parse_tag());
      }
    }
  }

  static Statement make(StatementKind kind, int line) {
    return {kind, line, {}, {}, {}, {}, {}, {}, {}};
  }

  Statement parse_tag() {
    if (is_word("if")) return parse_if();
    if (is_word("for")) return parse_for();
    if (is_word("set")) return parse_set();
    if (is_word("break") || is_word("continue")) {
      if (loop_level_ == 0) expected("a loop around it");
      const Token token = take();
      expect_tag_end();
      return make(token.text == "break" ? StatementKind::kBreak : StatementKind::kContinue,
                  token.line);
    }
    constexpr std::array<std::string_view, 18> kOutside = {
        "macro",  "call",  "filter",     "block",     "extends",    "include",
        "import", "from",  "with",       "raw",       "autoescape", "do",
        "trans",  "debug", "generation", "pluralize", "print",      "endraw"};
    if (std::find(kOutside.begin(), kOutside.end(), peek().text) != kOutside.end()) {
      unsupported(fmt::format("the tag '{}'", peek().text));
    }
    fail(ErrorCode::kCorruptFile, "chat template: line {}: unexpected tag {}", peek().line,
         describe(peek()));
  }

  Statement parse_if() {
    Statement statement = make(StatementKind::kIf, take().line);
    ExprPtr condition = parse_expression();
    expect_tag_end();
    for (;;) {
      Branch branch{std::move(condition), {}};
      const bool is_else = branch.condition == nullptr;
      branch.body = is_else ? parse_block({"endif"}) : parse_block({"elif", "else", "endif"});
      statement.branches.push_back(std::move(branch));
      if (end_name_ == "elif") condition = parse_expression();
      const bool at_end = end_name_ == "endif";
      expect_tag_end();
      if (at_end) return statement;
    }
  }

  Statement parse_for() {
    Statement statement = make(StatementKind::kFor, take().line);
    const bool parenthesized = skip_operator("(");
    do {
      statement.targets.push_back(expect_name());
    } while (skip_operator(","));
    if (parenthesized) expect_operator(")");
    if (!skip_word("in")) expected("'in'");
    statement.expression = parse_or();
    if (skip_word("if")) statement.condition = parse_expression();
    if (is_word("recursive")) unsupported("a recursive loop");
    expect_tag_end();
    ++loop_level_;
    statement.body = parse_block({"else", "endfor"});
    --loop_level_;
    if (end_name_ == "else") {
      expect_tag_end();
      statement.otherwise = parse_block({"endfor"});
    }
    expect_tag_end();
    return statement;
  }

  Statement parse_set() {
    Statement statement = make(StatementKind::kSet, take().line);
    statement.targets.push_back(expect_name());
    if (skip_operator(".")) statement.text = expect_name();
    if (is_operator(",")) unsupported("setting several names at once");
    if (skip_operator("=")) {
      statement.expression = parse_expression();
      expect_tag_end();
      return statement;
    }
    if (is_operator("|")) unsupported("a filter on a set block");
    statement.kind = StatementKind::kSetBlock;
    expect_tag_end();
    const int outer_loops = std::exchange(loop_level_, 0);
    statement.body = parse_block({"endset"});
    loop_level_ = outer_loops;
    expect_tag_end();
    return statement;
  }

  // --- expressions, from the loosest binding to the tightest ---

  ExprPtr node(ExprKind kind, int line, std::vector<ExprPtr> operands = {}) {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->line = line;
    expr->operands = std::move(operands);
    settle_depth(*expr);
    return expr;
  }
  template <typename... Operands>
  ExprPtr combine(ExprKind kind, int line, Operands... operands) {
    std::vector<ExprPtr> list;
    (list.push_back(std::move(operands)), ...);
    return node(kind, line, std::move(list));
  }
  void settle_depth(Expr& expr) {
    const auto include = [&](const ExprPtr& part) {
      if (part) expr.depth = std::max(expr.depth, part->depth + 1);
    };
    for (const ExprPtr& part : expr.operands) include(part);
    for (const auto& [name, part] : expr.keywords) include(part);
    if (expr.depth > kMaxExprDepth) {
      unsupported(fmt::format("an expression of more than {} levels", kMaxExprDepth));
    }
  }

  ExprPtr parse_expression() {
    const Nesting nesting(*this, expr_level_, kMaxNesting);
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

  ExprPtr parse_or() {
    ExprPtr left = parse_and();
    while (is_word("or")) {
      const int line = take().line;
      left = combine(ExprKind::kOr, line, std::move(left), parse_and());
    }
    return left;
  }

  ExprPtr parse_and() {
    ExprPtr left = parse_not();
    while (is_word("and")) {
      const int line = take().line;
      left = combine(ExprKind::kAnd, line, std::move(left), parse_not());
    }
    return left;
  }

  ExprPtr parse_not() {
    if (!is_word("not")) return parse_compare();
    const Nesting nesting(*this, expr_level_, kMaxNesting);
    const int line = take().line;
    return combine(ExprKind::kNot, line, parse_not());
  }

  std::optional<Comparison> take_comparison() {
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

  ExprPtr parse_compare() {
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

  ExprPtr parse_sum() {
    ExprPtr left = parse_concat();
    while (is_operator("+") || is_operator("-")) {
      const Token token = take();
      const ExprKind kind = token.text == "+" ? ExprKind::kAdd : ExprKind::kSubtract;
      left = combine(kind, token.line, std::move(left), parse_concat());
    }
    return left;
  }

  ExprPtr parse_concat() {
    ExprPtr first = parse_product();
    if (!is_operator("~")) return first;
    const int line = peek().line;
    std::vector<ExprPtr> operands;
    operands.push_back(std::move(first));
    while (skip_operator("~")) operands.push_back(parse_product());
    return node(ExprKind::kConcat, line, std::move(operands));
  }

  ExprPtr parse_product() {
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

  ExprPtr parse_unary() { return parse_filters(parse_signed()); }

  /// A sign binds tighter than a filter: -x | f is (-x) | f.
  ExprPtr parse_signed() {
    const Nesting nesting(*this, expr_level_, kMaxNesting);
    if (is_operator("-") || is_operator("+")) {
      const Token token = take();
      const ExprKind kind = token.text == "-" ? ExprKind::kNegative : ExprKind::kPositive;
      return combine(kind, token.line, parse_signed());
    }
    return parse_postfix(parse_primary());
  }

  ExprPtr constant(int line, Value value) {
    ExprPtr expr = node(ExprKind::kConstant, line);
    expr->constant = std::move(value);
    return expr;
  }

  ExprPtr parse_primary() {
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

  /// Items up to `close`, which is taken; a comma may follow the last one.
  std::vector<ExprPtr> parse_items(std::string_view close) {
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

  /// One expression in parentheses is itself; otherwise it is a tuple, which serves as a list.
  ExprPtr parse_parenthesized(int line) {
    if (skip_operator(")")) return node(ExprKind::kList, line);
    ExprPtr first = parse_expression();
    if (skip_operator(")")) return first;
    expect_operator(",");
    std::vector<ExprPtr> items = parse_items(")");
    items.insert(items.begin(), std::move(first));
    return node(ExprKind::kList, line, std::move(items));
  }

  ExprPtr parse_dict(int line) {
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

  ExprPtr parse_postfix(ExprPtr expr) {
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

  ExprPtr parse_subscript(ExprPtr object, int line) {
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

  /// Takes "(...)" and adds the arguments to `expr`.
  void parse_arguments(Expr& expr) {
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

  ExprPtr parse_call(ExprPtr callee) {
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

  ExprPtr parse_filters(ExprPtr expr) {
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

  ExprPtr parse_test(ExprPtr value, int line) {
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

  std::vector<Token> tokens_;
  std::size_t index_ = 0;
  std::string end_name_;
  int block_level_ = 0;
  int expr_level_ = 0;
  int loop_level_ = 0;
};

}  // namespace

Block parse(std::string_view source) {
  return Parser(source).run();
}

}  // namespace fdllm::jinja
