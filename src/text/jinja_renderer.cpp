#include "text/jinja_renderer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja_operations.h"

namespace fdllm::jinja {
namespace {

/// Why a block ended.
enum class Flow { kDone, kBreak, kContinue };

class Renderer {
 public:
  Renderer(const Dict& variables, Arena& arena, Budget budget) : arena_(arena), budget_(budget) {
    frames_.emplace_back();
    for (const auto& [name, value] : variables.items) frames_.back().emplace(name, value);
  }

  std::string run(const Block& block) {
    run_block(block);
    return std::move(out_);
  }

 private:
  using Frame = std::map<std::string, Value, std::less<>>;

  /// A scope whose names vanish with it.
  class Scope {
   public:
    explicit Scope(std::vector<Frame>& frames) : frames_(frames) { frames_.emplace_back(); }
    ~Scope() { frames_.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::vector<Frame>& frames_;
  };

  [[noreturn]] static void error(int line, std::string_view what) {
    fail(ErrorCode::kInvalidArgument, "chat template: line {}: {}", line, what);
  }

  // --- statements ---

  void print(std::string_view text) {
    budget_.charge_bytes(text.size());
    out_ += text;
  }

  Flow run_block(const Block& block) {
    for (const Statement& statement : block) {
      budget_.charge(1);
      Flow flow = Flow::kDone;
      switch (statement.kind) {
        case StatementKind::kData:
          print(statement.text);
          break;
        case StatementKind::kOutput: {
          const Value value = evaluate(*statement.expression);
          if (const auto* text = std::get_if<Text>(&value)) {
            print(**text);
          } else {
            print(printed(value, statement.line));
          }
          break;
        }
        case StatementKind::kIf:
          flow = run_if(statement);
          break;
        case StatementKind::kFor:
          run_for(statement);
          break;
        case StatementKind::kSet:
          assign(statement, evaluate(*statement.expression));
          break;
        case StatementKind::kSetBlock: {
          std::string outer = std::exchange(out_, {});
          {
            const Scope scope(frames_);
            run_block(statement.body);
          }
          std::swap(outer, out_);
          assign(statement, text_value(std::move(outer)));
          break;
        }
        case StatementKind::kBreak:
          flow = Flow::kBreak;
          break;
        case StatementKind::kContinue:
          flow = Flow::kContinue;
          break;
      }
      if (flow != Flow::kDone) return flow;
    }
    return Flow::kDone;
  }

  Flow run_if(const Statement& statement) {
    for (const Branch& branch : statement.branches) {
      if (!branch.condition || is_true(evaluate(*branch.condition))) return run_block(branch.body);
    }
    return Flow::kDone;
  }

  void bind_targets(const Statement& statement, const Value& item) {
    const auto& targets = statement.targets;
    if (targets.size() == 1) {
      frames_.back().insert_or_assign(targets[0], item);
      return;
    }
    const std::vector<Value> parts = iterate(item, budget_, statement.line);
    if (parts.size() != targets.size()) {
      error(statement.line,
            fmt::format("expected {} values to unpack, found {}", targets.size(), parts.size()));
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      frames_.back().insert_or_assign(targets[i], parts[i]);
    }
  }

  void run_for(const Statement& statement) {
    std::vector<Value> items = iterate(evaluate(*statement.expression), budget_, statement.line);
    if (statement.condition) {
      std::erase_if(items, [&](const Value& item) {
        const Scope scope(frames_);
        budget_.charge(1);
        bind_targets(statement, item);
        return !is_true(evaluate(*statement.condition));
      });
    }
    if (items.empty()) {
      const Scope scope(frames_);
      run_block(statement.otherwise);
      return;
    }
    const List* list = arena_.list(std::move(items));
    Loop* loop = arena_.loop(list);
    budget_.charge_bytes(list->items.size() * sizeof(Value) + 64);
    for (; loop->index < list->items.size(); ++loop->index) {
      const Scope scope(frames_);
      budget_.charge(8);
      bind_targets(statement, list->items[loop->index]);
      frames_.back().insert_or_assign("loop", loop);
      if (run_block(statement.body) == Flow::kBreak) break;
    }
  }

  void assign(const Statement& statement, Value value) {
    budget_.charge(8);
    const std::string& name = statement.targets[0];
    if (statement.text.empty()) {
      frames_.back().insert_or_assign(name, std::move(value));
      return;
    }
    const Value* target = find(name);
    auto* const* space = target != nullptr ? std::get_if<Namespace*>(target) : nullptr;
    if (space == nullptr) {
      error(statement.line,
            fmt::format("{} is no namespace, so its attribute can't be set", quote(name)));
    }
    (*space)->attributes.insert_or_assign(statement.text, std::move(value));
  }

  const Value* find(std::string_view name) const {
    for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
      const auto found = frame->find(name);
      if (found != frame->end()) return &found->second;
    }
    return nullptr;
  }

  // --- expressions ---

  Value evaluate(const Expr& expr) {
    budget_.charge(1);
    const auto operand = [&](std::size_t index) { return evaluate(*expr.operands[index]); };
    switch (expr.kind) {
      case ExprKind::kConstant:
        return expr.constant;
      case ExprKind::kName: {
        const Value* found = find(expr.name);
        return found != nullptr ? *found : undefined_value(quote(expr.name) + " is undefined");
      }
      case ExprKind::kAttribute:
        return on(expr).attribute(operand(0), expr.name);
      case ExprKind::kItem: {
        const Value object = operand(0);
        return on(expr).item(object, operand(1));
      }
      case ExprKind::kSlice:
        return slice(expr);
      case ExprKind::kFunction:
      case ExprKind::kMethod:
      case ExprKind::kFilter:
      case ExprKind::kTest:
        return call(expr);
      case ExprKind::kNot:
        return !is_true(operand(0));
      case ExprKind::kAnd: {
        const Value left = operand(0);
        return is_true(left) ? operand(1) : left;
      }
      case ExprKind::kOr: {
        const Value left = operand(0);
        return is_true(left) ? left : operand(1);
      }
      case ExprKind::kNegative:
      case ExprKind::kPositive: {
        const std::int64_t zero = 0;
        return on(expr).arithmetic(expr.kind, zero, operand(0));
      }
      case ExprKind::kAdd:
      case ExprKind::kSubtract:
      case ExprKind::kMultiply:
      case ExprKind::kFloorDivide:
      case ExprKind::kModulo: {
        const Value left = operand(0);
        return on(expr).arithmetic(expr.kind, left, operand(1));
      }
      case ExprKind::kConcat: {
        std::string text;
        for (const ExprPtr& part : expr.operands) {
          text += printed(evaluate(*part), expr.line);
          budget_.charge_bytes(text.size());
        }
        return text_value(std::move(text));
      }
      case ExprKind::kCompare:
        return compare(expr);
      case ExprKind::kConditional:
        if (is_true(operand(1))) return operand(0);
        if (expr.operands[2]) return operand(2);
        return undefined_value("the inline if-expression evaluated to false and no else was given");
      case ExprKind::kList: {
        std::vector<Value> items;
        for (const ExprPtr& part : expr.operands) items.push_back(evaluate(*part));
        budget_.charge_bytes(64 + items.size() * sizeof(Value));
        return arena_.list(std::move(items));
      }
      case ExprKind::kDict:
        return dict(expr);
    }
    fail(ErrorCode::kInternal, "chat template: an expression of unknown kind");
  }

  Operations on(const Expr& expr) { return {arena_, budget_, expr.line}; }

  Value slice(const Expr& expr) {
    const Value object = evaluate(*expr.operands[0]);
    SliceBounds bounds;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      if (expr.operands[i + 1]) bounds[i] = evaluate(*expr.operands[i + 1]);
    }
    return on(expr).slice(object, bounds);
  }

  Value dict(const Expr& expr) {
    std::vector<std::pair<std::string, Value>> items;
    for (std::size_t i = 0; i < expr.operands.size(); i += 2) {
      const Value key = evaluate(*expr.operands[i]);
      const auto* text = std::get_if<Text>(&key);
      if (text == nullptr) {
        fail(ErrorCode::kUnsupported, "chat template: line {}: a key that is {} is not supported",
             expr.line, kind_name(key));
      }
      budget_.charge_bytes(64 + (*text)->size() * (items.size() + 1));
      Value value = evaluate(*expr.operands[i + 1]);
      const auto same = std::find_if(items.begin(), items.end(),
                                     [&](const auto& entry) { return entry.first == **text; });
      if (same != items.end()) {
        same->second = std::move(value);
      } else {
        items.emplace_back(**text, std::move(value));
      }
    }
    return arena_.dict(std::move(items));
  }

  Value call(const Expr& expr) {
    Arguments arguments;
    const bool has_object = expr.kind != ExprKind::kFunction;
    Value object = has_object ? evaluate(*expr.operands[0]) : Value(None{});
    for (std::size_t i = has_object ? 1 : 0; i < expr.operands.size(); ++i) {
      arguments.positional.push_back(evaluate(*expr.operands[i]));
    }
    for (const auto& [name, part] : expr.keywords) {
      arguments.named.emplace_back(name, evaluate(*part));
    }
    const Call call(arena_, budget_, expr.line, expr.name, arguments);
    switch (expr.kind) {
      case ExprKind::kFilter:
        return call.filter(object);
      case ExprKind::kMethod:
        if (const auto* missing = std::get_if<Undefined>(&object)) error(expr.line, *missing->what);
        return call.method(object);
      case ExprKind::kTest: {
        // The functions count as defined, though they are no values here.
        const Expr& subject = *expr.operands[0];
        if (subject.kind == ExprKind::kName && Call::is_function(subject.name) &&
            (expr.name == "defined" || expr.name == "undefined") &&
            std::holds_alternative<Undefined>(object)) {
          return expr.name == "defined";
        }
        return call.test(object);
      }
      default:
        if (!Call::is_function(expr.name) && find(expr.name) == nullptr) {
          fail(ErrorCode::kUnsupported, "chat template: line {}: the function {} is not supported",
               expr.line, quote(expr.name));
        }
        return call.function();
    }
  }

  Value compare(const Expr& expr) {
    Value left = evaluate(*expr.operands[0]);
    for (std::size_t i = 0; i < expr.comparisons.size(); ++i) {
      Value right = evaluate(*expr.operands[i + 1]);
      if (!on(expr).holds(expr.comparisons[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  Arena& arena_;
  Budget budget_;
  std::vector<Frame> frames_;
  std::string out_;
};

}  // namespace

std::string render(const Block& block, const Dict& variables, Arena& arena, Budget budget) {
  return Renderer(variables, arena, budget).run(block);
}

}  // namespace fdllm::jinja
