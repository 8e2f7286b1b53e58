#include "text/jinja/parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "base/check.h"
#include "text/jinja/expression_parser.h"

namespace fdllm::jinja {
namespace {

constexpr int kMaxBlockDepth = 50;
constexpr int kMaxTargetDepth = 20;

class Parser : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

  Block run() {
    Block block = parse_block({});
    check_unknown_names();
    return block;
  }

 private:
  /// Keeps a value while it lives and puts it back.
  template <typename T>
  class Restored {
   public:
    Restored(T& place, T value) : place_(place), outer_(std::exchange(place, std::move(value))) {}
    ~Restored() { place_ = std::move(outer_); }
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;

   private:
    T& place_;
    T outer_;
  };

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
        Statement data = make(StatementKind::kData, token.line);
        data.text = std::move(token.text);
        block.push_back(std::move(data));
      } else if (token.kind == TokenKind::kOutputBegin) {
        block.push_back(parse_output(token.line));
      } else {
        if (!is(TokenKind::kName)) expected("a tag's name");
        if (std::find(ends.begin(), ends.end(), peek().text) != ends.end()) {
          end_name_ = take().text;
          return block;
        }
        parse_tag(block);
      }
    }
  }

  /// The block up to `end` and that tag: with its own loops, and for whom nothing is conditional.
  Block parse_inner(std::string_view end) {
    const Restored loops(loop_level_, 0);
    const Restored conditional(is_conditional_, false);
    expect_body();
    Block block = parse_block({end});
    expect_tag_end();
    return block;
  }

  /// Takes the end of a tag that has a body; a colon may stand before it.
  void expect_body() {
    skip_operator(":");
    expect_tag_end();
  }

  static Statement make(StatementKind kind, int line) {
    Statement statement;
    statement.kind = kind;
    statement.line = line;
    return statement;
  }

  Statement parse_output(int line) {
    Statement output = make(StatementKind::kOutput, line);
    output.expression = parse_tuple();
    if (!is(TokenKind::kOutputEnd)) expected("'}}'");
    take();
    return output;
  }

  void parse_tag(Block& block) {
    using Parse = Statement (Parser::*)();
    constexpr std::pair<std::string_view, Parse> kTags[] = {
        {"if", &Parser::parse_if},      {"for", &Parser::parse_for},
        {"set", &Parser::parse_set},    {"macro", &Parser::parse_macro},
        {"call", &Parser::parse_call},  {"filter", &Parser::parse_filter_tag},
        {"with", &Parser::parse_with},  {"generation", &Parser::parse_generation},
        {"break", &Parser::parse_jump}, {"continue", &Parser::parse_jump}};
    const auto* found = std::find_if(std::begin(kTags), std::end(kTags),
                                     [&](const auto& tag) { return is_word(tag.first); });
    if (found != std::end(kTags)) {
      block.push_back((this->*found->second)());
      return;
    }
    if (is_word("print")) {
      parse_print(block);
      return;
    }
    constexpr std::array<std::string_view, 10> kOutside = {
        "block", "extends", "include", "import",     "from",
        "do",    "trans",   "debug",   "autoescape", "pluralize"};
    if (std::find(kOutside.begin(), kOutside.end(), peek().text) != kOutside.end()) {
      unsupported(fmt::format("the tag '{}'", peek().text));
    }
    fail(ErrorCode::kCorruptFile, "line {}: unexpected tag {}", peek().line, describe(peek()));
  }

  Statement parse_if() {
    Statement statement = make(StatementKind::kIf, take().line);
    const Restored conditional(is_conditional_, true);
    ExprPtr condition = parse_tuple_without_condition();
    expect_body();
    for (;;) {
      Branch branch{std::move(condition), {}};
      const bool is_else = branch.condition == nullptr;
      branch.body = is_else ? parse_block({"endif"}) : parse_block({"elif", "else", "endif"});
      statement.branches.push_back(std::move(branch));
      if (end_name_ == "elif") condition = parse_tuple_without_condition();
      if (end_name_ == "endif") {
        expect_tag_end();
        return statement;
      }
      expect_body();
    }
  }

  Statement parse_for() {
    Statement statement = make(StatementKind::kFor, take().line);
    statement.target = parse_target(TargetRule::kNames);
    if (!skip_word("in")) expected("'in'");
    const Restored conditional(is_conditional_, false);
    statement.expression = parse_tuple_without_condition();
    if (skip_word("if")) statement.condition = parse_expression();
    statement.is_recursive = skip_word("recursive");
    expect_body();
    ++loop_level_;
    statement.body = parse_block({"else", "endfor"});
    --loop_level_;
    if (end_name_ == "else") {
      expect_body();
      statement.otherwise = parse_block({"endfor"});
    }
    expect_tag_end();
    return statement;
  }

  enum class TargetRule : std::uint8_t { kNames, kNamesAndAttributes };

  Target parse_single_target(TargetRule rule) {
    if (skip_operator("(")) {
      Target inside = parse_target(rule);
      expect_operator(")");
      return inside;
    }
    if (is(TokenKind::kName)) {
      constexpr std::array<std::string_view, 6> kConstants = {"true",  "True", "false",
                                                              "False", "none", "None"};
      if (std::find(kConstants.begin(), kConstants.end(), peek().text) != kConstants.end()) {
        expected("a name to assign to");
      }
    }
    Target target;
    target.name = expect_name();
    if (rule == TargetRule::kNamesAndAttributes && skip_operator(".")) {
      target.attribute = expect_name();
    }
    return target;
  }

  Target parse_target(TargetRule rule) {
    const Nesting nesting(*this, target_level_, kMaxTargetDepth);
    Target first = parse_single_target(rule);
    if (!is_operator(",")) return first;
    Target tuple;
    tuple.is_tuple = true;
    tuple.parts.push_back(std::move(first));
    while (skip_operator(",")) {
      if (is_operator(")")) break;
      tuple.parts.push_back(parse_single_target(rule));
    }
    return tuple;
  }

  Statement parse_set() {
    Statement statement = make(StatementKind::kSet, take().line);
    statement.target = parse_target(TargetRule::kNamesAndAttributes);
    if (skip_operator("=")) {
      statement.expression = parse_tuple();
      expect_tag_end();
      return statement;
    }
    statement.kind = StatementKind::kSetBlock;
    statement.expression = parse_block_filters();
    statement.body = parse_inner("endset");
    return statement;
  }

  void parse_parameters(MacroDefinition& macro) {
    expect_operator("(");
    std::set<std::string, std::less<>> names;
    while (!skip_operator(")")) {
      if (!macro.parameters.empty()) expect_operator(",");
      MacroDefinition::Parameter parameter;
      parameter.name = expect_name();
      if (!names.insert(parameter.name).second) expected("each parameter once");
      if (skip_operator("=")) {
        parameter.fallback = parse_expression();
      } else if (!macro.parameters.empty() && macro.parameters.back().fallback) {
        expected("a default value, as the parameter before has one");
      }
      macro.parameters.push_back(std::move(parameter));
    }
  }

  void parse_macro_body(MacroDefinition& macro, std::string_view end) {
    SpecialNames special;
    special_names_.push_back(&special);
    macro.body = parse_inner(end);
    special_names_.pop_back();
    const auto has = [&](std::string_view name) {
      return std::any_of(macro.parameters.begin(), macro.parameters.end(),
                         [&](const auto& parameter) { return parameter.name == name; });
    };
    macro.uses_caller = special.caller && !has("caller");
    macro.uses_keywords = special.keywords && !has("kwargs");
    macro.uses_arguments = special.arguments && !has("varargs");
  }

  Statement parse_macro() {
    Statement statement = make(StatementKind::kMacro, take().line);
    statement.macro = std::make_unique<MacroDefinition>();
    statement.macro->name = expect_name();
    const Restored conditional(is_conditional_, false);
    parse_parameters(*statement.macro);
    parse_macro_body(*statement.macro, "endmacro");
    return statement;
  }

  Statement parse_call() {
    Statement statement = make(StatementKind::kCallBlock, take().line);
    statement.macro = std::make_unique<MacroDefinition>();
    if (is_operator("(")) parse_parameters(*statement.macro);
    statement.expression = parse_expression();
    if (statement.expression->kind != ExprKind::kCall) expected("a call before it");
    parse_macro_body(*statement.macro, "endcall");
    return statement;
  }

  Statement parse_filter_tag() {
    Statement statement = make(StatementKind::kFilterBlock, take().line);
    const Restored conditional(is_conditional_, false);
    statement.expression = parse_filter_chain();
    statement.body = parse_inner("endfilter");
    return statement;
  }

  Statement parse_with() {
    Statement statement = make(StatementKind::kWith, take().line);
    while (!is(TokenKind::kTagEnd) && !is_operator(":")) {
      if (!statement.assignments.empty()) expect_operator(",");
      Target target = parse_single_target(TargetRule::kNames);
      expect_operator("=");
      statement.assignments.emplace_back(std::move(target), parse_expression());
    }
    const Restored conditional(is_conditional_, false);
    expect_body();
    statement.body = parse_block({"endwith"});
    expect_tag_end();
    return statement;
  }

  Statement parse_generation() {
    Statement statement = make(StatementKind::kGeneration, take().line);
    statement.body = parse_inner("endgeneration");
    return statement;
  }

  Statement parse_jump() {
    if (loop_level_ == 0) expected("a loop around it");
    const Token token = take();
    expect_tag_end();
    return make(token.text == "break" ? StatementKind::kBreak : StatementKind::kContinue,
                token.line);
  }

  void parse_print(Block& block) {
    const int line = take().line;
    bool first = true;
    while (!is(TokenKind::kTagEnd)) {
      if (!first) expect_operator(",");
      first = false;
      Statement output = make(StatementKind::kOutput, line);
      output.expression = parse_expression();
      block.push_back(std::move(output));
    }
    expect_tag_end();
  }

  std::string end_name_;
  int block_level_ = 0;
  int loop_level_ = 0;
  int target_level_ = 0;
};

}  // namespace

Block parse(std::string_view source) {
  return Parser(source).run();
}

}  // namespace fdllm::jinja
