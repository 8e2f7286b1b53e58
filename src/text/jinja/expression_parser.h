#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/token_reader.h"

namespace fdllm::jinja {

/// The part of the parser that reads expressions; its functions go from the loosest binding to the
/// tightest.
class ExpressionParser : protected TokenReader {
 protected:
  using TokenReader::TokenReader;

  /// Names that mean something special in a macro, if they are read in its body.
  struct SpecialNames {
    bool caller = false;
    bool keywords = false;
    bool arguments = false;
  };

  ExprPtr parse_expression();
  ExprPtr parse_or();
  /// Expressions with commas between them are a tuple, without parentheses too.
  ExprPtr parse_tuple();
  /// As parse_tuple, without conditional expressions: what a loop goes through.
  ExprPtr parse_tuple_without_condition();
  /// "| name(...) | ...", on what a block prints; null where there is none.
  ExprPtr parse_block_filters();
  /// The same without the first "|".
  ExprPtr parse_filter_chain();
  ExprPtr parse_primary();

  /// Throws for the first filter or test that nobody knows and that is sure to be compiled.
  void check_unknown_names() const;

  std::vector<SpecialNames*> special_names_;
  /// Whether an unknown filter or test is an error only when it is reached: within a condition.
  bool is_conditional_ = false;

 private:
  struct UnknownName {
    int line;
    std::string what;
  };

  ExprPtr node(ExprKind kind, int line, std::vector<ExprPtr> operands = {});
  template <typename... Operands>
  ExprPtr combine(ExprKind kind, int line, Operands... operands) {
    std::vector<ExprPtr> list;
    (list.push_back(std::move(operands)), ...);
    return node(kind, line, std::move(list));
  }
  void settle_depth(Expr& expr);
  ExprPtr parse_and();
  ExprPtr parse_not();
  std::optional<Comparison> take_comparison();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary();
  /// A sign binds tighter than a filter: -x | f is (-x) | f.
  ExprPtr parse_signed();
  ExprPtr constant(int line, Value value);
  ExprPtr parse_name(int line);
  bool is_tuple_end() const;
  ExprPtr parse_tuple_of(ExprPtr (ExpressionParser::*parse_part)(), bool may_be_empty);
  /// Items up to `close`, which is taken; a comma may follow the last one.
  std::vector<ExprPtr> parse_items(std::string_view close);
  ExprPtr parse_dict(int line);
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr object, int line);
  ExprPtr parse_slice_or_item(ExprPtr object, int line);
  /// Takes "(...)" and adds the arguments to `expr`.
  void parse_arguments(Expr& expr);
  void parse_argument(Expr& expr);
  ExprPtr parse_filters(ExprPtr expr);
  ExprPtr parse_filter(ExprPtr input, int line);
  ExprPtr parse_test(ExprPtr value, int line);
  void note_unknown(int line, std::string what);

  int level_ = 0;
  std::vector<UnknownName> unknown_;
};

}  // namespace fdllm::jinja
