#include "text/jinja/evaluator.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/comparison.h"
#include "text/jinja/filters.h"
#include "text/jinja/functions.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/subscripts.h"
#include "text/jinja/tests.h"

namespace fdllm::jinja {
namespace {

/// Of blocks, expressions and macros within each other: what the stack can bear.
constexpr int kMaxLevels = 1000;

}  // namespace

Evaluator::Level::Level(Evaluator& evaluator) : evaluator_(evaluator) {
  if (evaluator.level_ >= kMaxLevels) {
    fail(ErrorCode::kUnsupported, "line {}: calls nested so deeply are not supported",
         evaluator.runtime_.line());
  }
  ++evaluator.level_;
}

Value Evaluator::evaluate(const Expr& expr) {
  const Level level(*this);
  runtime_.budget().charge(1);
  runtime_.set_line(expr.line);
  switch (expr.kind) {
    case ExprKind::kConstant:
      return expr.constant;
    case ExprKind::kName:
      return name(expr);
    case ExprKind::kAttribute:
      return get_attribute(evaluate(*expr.operands[0]), expr.name, runtime_);
    case ExprKind::kSlice:
      return slice(expr);
    case ExprKind::kCall:
      return call_expression(expr);
    case ExprKind::kFilter:
      return filter(expr, evaluate(*expr.operands[0]));
    case ExprKind::kTest:
      return test(expr);
    case ExprKind::kConcat:
      return concat(expr);
    case ExprKind::kCompare:
      return compare_chain(expr);
    case ExprKind::kConditional:
      return conditional(expr);
    case ExprKind::kList:
    case ExprKind::kTuple:
      return sequence(expr);
    case ExprKind::kDict:
      return dict(expr);
    default:
      return operation(expr);
  }
}

/// Operators of one or two operands, and items.
Value Evaluator::operation(const Expr& expr) {
  Value left = evaluate(*expr.operands[0]);
  switch (expr.kind) {
    case ExprKind::kNot:
      return !is_true(left);
    case ExprKind::kAnd:
      return is_true(left) ? evaluate(*expr.operands[1]) : left;
    case ExprKind::kOr:
      return is_true(left) ? left : evaluate(*expr.operands[1]);
    case ExprKind::kNegative:
    case ExprKind::kPositive:
      runtime_.set_line(expr.line);
      return signed_value(expr.kind, left, runtime_);
    default:
      break;
  }
  const Value right = evaluate(*expr.operands[1]);
  runtime_.set_line(expr.line);
  if (expr.kind == ExprKind::kItem) return get_item(left, right, runtime_);
  return arithmetic(expr.kind, left, right, runtime_);
}

Value Evaluator::name(const Expr& expr) {
  if (const Value* found = scopes_.find(expr.name)) return *found;
  if (is_function(expr.name)) {
    return runtime_.arena().callable({CallableKind::kFunction, expr.name, None{}});
  }
  return undefined_value(quote(expr.name) + " is undefined");
}

Value Evaluator::slice(const Expr& expr) {
  const Value object = evaluate(*expr.operands[0]);
  SliceBounds bounds;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (expr.operands[i + 1]) bounds[i] = evaluate(*expr.operands[i + 1]);
  }
  runtime_.set_line(expr.line);
  return get_slice(object, bounds, runtime_);
}

Arguments Evaluator::evaluate_arguments(const Expr& expr, std::size_t first) {
  Arguments arguments;
  for (std::size_t i = first; i < expr.operands.size(); ++i) {
    arguments.positional.push_back(evaluate(*expr.operands[i]));
  }
  for (const auto& [name, part] : expr.keywords) {
    arguments.named.emplace_back(name, evaluate(*part));
  }
  if (expr.more_arguments) {
    const std::vector<Value> more = runtime_.iterate(evaluate(*expr.more_arguments));
    arguments.positional.insert(arguments.positional.end(), more.begin(), more.end());
  }
  if (expr.more_keywords) {
    const Value more = evaluate(*expr.more_keywords);
    const auto* dict = std::get_if<const Dict*>(&more);
    if (dict == nullptr) runtime_.error("'**' expects a dictionary");
    for (const auto& [key, value] : (*dict)->items) {
      const auto* text = std::get_if<Text>(&key);
      if (text == nullptr) runtime_.error("'**' expects names as keys");
      runtime_.budget().charge(arguments.named.size() + 1);
      const bool is_twice = std::any_of(arguments.named.begin(), arguments.named.end(),
                                        [&](const auto& entry) { return entry.first == **text; });
      if (is_twice) runtime_.error("the argument " + quote(**text) + " is given twice");
      arguments.named.emplace_back(**text, value);
    }
  }
  runtime_.set_line(expr.line);
  return arguments;
}

Value Evaluator::call_expression(const Expr& expr) {
  const Value callee = evaluate(*expr.operands[0]);
  const Arguments arguments = evaluate_arguments(expr, 1);
  return call(callee, arguments);
}

Value Evaluator::call(const Value& callee, const Arguments& arguments) {
  runtime_.require_defined(callee);
  if (const auto* callable = std::get_if<const Callable*>(&callee)) {
    switch ((*callable)->kind) {
      case CallableKind::kFunction:
        return call_function((*callable)->name, arguments, runtime_);
      case CallableKind::kMethod:
        return call_method((*callable)->self, (*callable)->name, arguments, runtime_);
      case CallableKind::kMacro:
        return call_macro(**callable, arguments);
    }
  }
  if (auto* const* joiner = std::get_if<Joiner*>(&callee)) {
    const Bound bound(runtime_, "joiner", arguments, {});
    return std::exchange((*joiner)->used, true) ? (*joiner)->separator : text_value("");
  }
  if (auto* const* loop = std::get_if<Loop*>(&callee)) {
    const Bound bound(runtime_, "loop", arguments, {"iterable"}, 1);
    if (!(*loop)->recurse) runtime_.error("only a loop that is marked 'recursive' can be called");
    return (*loop)->recurse(bound.at(0));
  }
  runtime_.error(fmt::format("{} can't be called", kind_name(callee)));
}

Value Evaluator::filter(const Expr& expr, const Value& input) {
  const Arguments arguments = evaluate_arguments(expr, 1);
  return run_filter(expr.name, input, arguments, runtime_);
}

Value Evaluator::evaluate_filters(const Expr& filters, const Value& input) {
  const Level level(*this);
  if (!filters.operands[0]) return filter(filters, input);
  return filter(filters, evaluate_filters(*filters.operands[0], input));
}

Value Evaluator::test(const Expr& expr) {
  const Value subject = evaluate(*expr.operands[0]);
  const Arguments arguments = evaluate_arguments(expr, 1);
  return run_test(expr.name, subject, arguments, runtime_);
}

Value Evaluator::concat(const Expr& expr) {
  std::string text;
  for (const ExprPtr& part : expr.operands) {
    const Value value = evaluate(*part);
    runtime_.set_line(expr.line);
    const std::string printed = to_text(value, runtime_);
    runtime_.budget().charge_bytes(printed.size());
    text += printed;
  }
  return runtime_.text(std::move(text));
}

Value Evaluator::compare_chain(const Expr& expr) {
  Value left = evaluate(*expr.operands[0]);
  for (std::size_t i = 0; i < expr.comparisons.size(); ++i) {
    Value right = evaluate(*expr.operands[i + 1]);
    runtime_.set_line(expr.line);
    if (!compare(expr.comparisons[i], left, right, runtime_)) return false;
    left = std::move(right);
  }
  return true;
}

Value Evaluator::conditional(const Expr& expr) {
  if (is_true(evaluate(*expr.operands[1]))) return evaluate(*expr.operands[0]);
  if (expr.operands[2]) return evaluate(*expr.operands[2]);
  return undefined_value("the inline if-expression is false and has no else");
}

Value Evaluator::sequence(const Expr& expr) {
  std::vector<Value> items;
  for (const ExprPtr& part : expr.operands) items.push_back(evaluate(*part));
  return runtime_.list(std::move(items),
                       expr.kind == ExprKind::kList ? ListKind::kList : ListKind::kTuple);
}

Value Evaluator::dict(const Expr& expr) {
  std::vector<std::pair<Value, Value>> items;
  for (std::size_t i = 0; i < expr.operands.size(); i += 2) {
    Value key = evaluate(*expr.operands[i]);
    items.emplace_back(std::move(key), evaluate(*expr.operands[i + 1]));
  }
  runtime_.set_line(expr.line);
  return runtime_.dict(std::move(items));
}

}  // namespace fdllm::jinja
