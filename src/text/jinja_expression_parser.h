#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_token_reader.h"

namespace fdllm::jinja {

/// The part of the parser that reads expressions; its functions go from the loosest binding to the
/// tightest.
class ExpressionParser : protected TokenReader {
 protected:
  using TokenReader::TokenReader;

  ExprPtr parse_expression();
  ExprPtr parse_or();

 private:
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
  ExprPtr parse_unary();
  /// A sign binds tighter than a filter: -x | f is (-x) | f.
  ExprPtr parse_signed();
  ExprPtr constant(int line, Value value);
  ExprPtr parse_primary();
  /// Items up to `close`, which is taken; a comma may follow the last one.
  std::vector<ExprPtr> parse_items(std::string_view close);
  /// One expression in parentheses is itself; otherwise it is a tuple, which serves as a list.
  ExprPtr parse_parenthesized(int line);
  ExprPtr parse_dict(int line);
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr object, int line);
  /// Takes "(...)" and adds the arguments to `expr`.
  void parse_arguments(Expr& expr);
  ExprPtr parse_call(ExprPtr callee);
  ExprPtr parse_filters(ExprPtr expr);
  ExprPtr parse_test(ExprPtr value, int line);

  int level_ = 0;
};

}  // namespace fdllm::jinja
