#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace fdllm::jinja {

enum class ExprKind : std::uint8_t {
  kConstant,   ///< constant
  kName,       ///< name
  kAttribute,  ///< operands[0].name
  kItem,       ///< operands[0][operands[1]]
  kSlice,      ///< operands[0][operands[1] : operands[2] : operands[3]], null where absent
  kCall,       ///< operands[0](the arguments)
  kFilter,     ///< operands[0] | name(the arguments); operands[0] is null for what a block prints
  kTest,       ///< operands[0] is name(the arguments)
  kNot,
  kNegative,
  kPositive,
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcat,       ///< operands joined by ~
  kCompare,      ///< operands[0] comparisons[0] operands[1] comparisons[1] ...
  kConditional,  ///< operands[0] if operands[1] else operands[2], which may be null
  kList,
  kTuple,
  kDict,  ///< keys and values in turn
};

enum class Comparison : std::uint8_t {
  kEqual,
  kUnequal,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind;
  int line;
  int depth = 1;  ///< of the tree below, bounded by the parser
  std::string name;
  Value constant;
  std::vector<ExprPtr> operands;  ///< of a call, filter or test: its subject, then its arguments
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr more_arguments;  ///< *expression
  ExprPtr more_keywords;   ///< **expression
  std::vector<Comparison> comparisons;
};

/// What a value is assigned to: a name, a namespace's attribute, or as many parts as it has items.
struct Target {
  std::string name;
  std::string attribute;
  bool is_tuple = false;
  std::vector<Target> parts;
};

enum class StatementKind : std::uint8_t {
  kData,         ///< text
  kOutput,       ///< expression
  kIf,           ///< branches
  kFor,          ///< target in expression if condition: body, else otherwise
  kSet,          ///< target = expression
  kSetBlock,     ///< target = what body prints, through the filters of expression
  kMacro,        ///< macro
  kCallBlock,    ///< expression, a call, with the macro as its `caller`
  kFilterBlock,  ///< what body prints, through the filters of expression
  kWith,         ///< assignments, then body with names of its own
  kGeneration,   ///< body with names of its own (what an assistant says, for training)
  kBreak,
  kContinue,
};

struct Statement;
using Block = std::vector<Statement>;
struct Branch;
struct MacroDefinition;

struct Statement {
  StatementKind kind;
  int line;
  std::string text;
  Target target;
  ExprPtr expression;
  ExprPtr condition;
  bool is_recursive = false;
  std::vector<Branch> branches;
  std::vector<std::pair<Target, ExprPtr>> assignments;
  std::unique_ptr<MacroDefinition> macro;
  Block body;
  Block otherwise;
};

struct Branch {
  ExprPtr condition;  ///< null for else
  Block body;
};

/// A macro, or the block of a call.
struct MacroDefinition {
  struct Parameter {
    std::string name;
    ExprPtr fallback;  ///< null where there is none
  };
  std::string name;  ///< empty for the block of a call
  std::vector<Parameter> parameters;
  bool uses_caller = false;
  bool uses_keywords = false;   ///< `kwargs`
  bool uses_arguments = false;  ///< `varargs`
  Block body;
};

}  // namespace fdllm::jinja
