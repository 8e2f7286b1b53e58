#include "text/jinja_parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/check.h"
#include "text/jinja_expression_parser.h"

namespace fdllm::jinja {
namespace {

constexpr int kMaxBlockDepth = 50;

class Parser : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

  Block run() { return parse_block({}); }

 private:
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

  std::string end_name_;
  int block_level_ = 0;
  int loop_level_ = 0;
};

}  // namespace

Block parse(std::string_view source) {
  return Parser(source).run();
}

}  // namespace fdllm::jinja
