#pragma once
#include <deque>
#include <functional>

#include "text/jinja/ast.h"
#include "text/jinja/macro.h"
#include "text/jinja/runtime.h"
#include "text/jinja/scopes.h"

namespace fdllm::jinja {

/// Gives expressions their values. Macros are run by who derives from it.
class Evaluator {
 public:
  explicit Evaluator(Runtime& runtime) : runtime_(runtime) {}
  virtual ~Evaluator() = default;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Value evaluate(const Expr& expr);
  /// The filters of a block, on what the block prints.
  Value evaluate_filters(const Expr& filters, const Value& input);
  Value call(const Value& callee, const Arguments& arguments);
  Arguments evaluate_arguments(const Expr& expr, std::size_t first);

 protected:
  /// Counts a level of recursion while it lives, whatever it recurses through.
  class Level {
   public:
    explicit Level(Evaluator& evaluator);
    ~Level() { --evaluator_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Evaluator& evaluator_;
  };

  virtual Value call_macro(const Callable& callable, const Arguments& arguments) = 0;

  Runtime& runtime() { return runtime_; }
  Scopes& scopes() { return scopes_; }

 private:
  Value name(const Expr& expr);
  Value operation(const Expr& expr);
  Value call_expression(const Expr& expr);
  Value filter(const Expr& expr, const Value& input);
  Value test(const Expr& expr);
  Value slice(const Expr& expr);
  Value concat(const Expr& expr);
  Value compare_chain(const Expr& expr);
  Value conditional(const Expr& expr);
  Value sequence(const Expr& expr);
  Value dict(const Expr& expr);

  Runtime& runtime_;
  Scopes scopes_;
  int level_ = 0;
};

}  // namespace fdllm::jinja
