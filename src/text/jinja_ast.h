#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace fdllm::jinja {

enum class ExprKind {
  kConstant,   ///< constant
  kName,       ///< name
  kAttribute,  ///< operands[0].name
  kItem,       ///< operands[0][operands[1]]
  kSlice,      ///< operands[0][operands[1] : operands[2] : operands[3]], null where absent
  kFunction,   ///< name(operands..., keywords...)
  kMethod,     ///< operands[0].name(the other operands..., keywords...)
  kFilter,     ///< operands[0] | name(the other operands..., keywords...)
  kTest,       ///< operands[0] is name(the other operands...)
  kNot,
  kNegative,
  kPositive,
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kFloorDivide,
  kModulo,
  kConcat,       ///< operands joined by ~
  kCompare,      ///< operands[0] comparisons[0] operands[1] comparisons[1] ...
  kConditional,  ///< operands[0] if operands[1] else operands[2], which may be null
  kList,
  kDict,  ///< keys and values in turn
};

enum class Comparison { kEqual, kUnequal, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind;
  int line;
  int depth = 1;  ///< of the tree below, bounded by the parser
  std::string name;
  Value constant;
  std::vector<ExprPtr> operands;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  std::vector<Comparison> comparisons;
};

enum class StatementKind {
  kData,      ///< text
  kOutput,    ///< expression
  kIf,        ///< branches
  kFor,       ///< targets in expression if condition: body, else otherwise
  kSet,       ///< targets[0] (or its attribute `text`) = expression
  kSetBlock,  ///< targets[0] (or its attribute `text`) = what body prints
  kBreak,
  kContinue,
};

struct Statement;
using Block = std::vector<Statement>;

struct Branch;

struct Statement {
  StatementKind kind;
  int line;
  std::string text;
  std::vector<std::string> targets;
  ExprPtr expression;
  ExprPtr condition;
  std::vector<Branch> branches;
  Block body;
  Block otherwise;
};

struct Branch {
  ExprPtr condition;  ///< null for else
  Block body;
};

}  // namespace fdllm::jinja
