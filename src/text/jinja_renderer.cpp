#include "text/jinja_renderer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/quote.h"
#include "text/utf8.h"

namespace fdllm::jinja {
namespace {

constexpr std::size_t kMaxComparedBytes = std::size_t{1} << 24;

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
  struct Scope {
    explicit Scope(std::vector<Frame>& frames) : frames_(frames) { frames_.emplace_back(); }
    ~Scope() { frames_.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
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
        return attribute(operand(0), expr);
      case ExprKind::kItem: {
        const Value object = operand(0);
        return item(object, operand(1), expr.line);
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
        return arithmetic(expr, zero, operand(0));
      }
      case ExprKind::kAdd:
      case ExprKind::kSubtract:
      case ExprKind::kMultiply:
      case ExprKind::kFloorDivide:
      case ExprKind::kModulo: {
        const Value left = operand(0);
        return arithmetic(expr, left, operand(1));
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

  static Value loop_attribute(const Loop& loop, std::string_view name) {
    const auto index = static_cast<std::int64_t>(loop.index);
    const auto length = static_cast<std::int64_t>(loop.items->items.size());
    if (name == "index") return index + 1;
    if (name == "index0") return index;
    if (name == "revindex") return length - index;
    if (name == "revindex0") return length - index - 1;
    if (name == "length") return length;
    if (name == "first") return index == 0;
    if (name == "last") return index + 1 == length;
    if (name == "previtem" && index > 0) return loop.items->items[loop.index - 1];
    if (name == "nextitem" && index + 1 < length) return loop.items->items[loop.index + 1];
    return undefined_value("loop has no attribute " + quote(name));
  }

  Value attribute(const Value& object, const Expr& expr) {
    if (const auto* missing = std::get_if<Undefined>(&object)) error(expr.line, *missing->what);
    if (const auto* loop = std::get_if<const Loop*>(&object)) {
      return loop_attribute(**loop, expr.name);
    }
    if (const auto* space = std::get_if<Namespace*>(&object)) {
      const auto found = (*space)->attributes.find(expr.name);
      if (found != (*space)->attributes.end()) return found->second;
    } else if (const auto* dict = std::get_if<const Dict*>(&object)) {
      budget_.charge((*dict)->items.size());
      if (const Value* found = (*dict)->find(expr.name)) return *found;
    }
    return undefined_value(
        fmt::format("{} has no attribute {}", kind_name(object), quote(expr.name)));
  }

  Value item(const Value& object, const Value& key, int line) {
    if (const auto* missing = std::get_if<Undefined>(&object)) error(line, *missing->what);
    if (const auto* dict = std::get_if<const Dict*>(&object)) {
      if (const auto* name = std::get_if<Text>(&key)) {
        budget_.charge((*dict)->items.size());
        if (const Value* found = (*dict)->find(**name)) return *found;
        return undefined_value("a dictionary has no item " + quote(**name));
      }
    }
    const auto* number = std::get_if<std::int64_t>(&key);
    if (number != nullptr) {
      if (const auto* list = std::get_if<const List*>(&object)) {
        const auto size = static_cast<std::int64_t>((*list)->items.size());
        const std::int64_t index = *number < 0 ? *number + size : *number;
        if (index >= 0 && index < size) return (*list)->items[static_cast<std::size_t>(index)];
      } else if (const auto* text = std::get_if<Text>(&object)) {
        const std::vector<std::string_view> characters = characters_of(**text);
        const auto size = static_cast<std::int64_t>(characters.size());
        const std::int64_t index = *number < 0 ? *number + size : *number;
        if (index >= 0 && index < size) {
          return text_value(std::string(characters[static_cast<std::size_t>(index)]));
        }
      }
    }
    return undefined_value(fmt::format("{} has no such item", kind_name(object)));
  }

  std::vector<std::string_view> characters_of(std::string_view text) {
    budget_.charge_bytes(text.size() * sizeof(std::string_view));
    std::vector<std::string_view> characters;
    for (std::size_t offset = 0; offset < text.size();) {
      const std::size_t size = utf8_length(text[offset]);
      characters.push_back(text.substr(offset, size));
      offset += size;
    }
    return characters;
  }

  std::optional<std::int64_t> slice_bound(const Expr& expr, std::size_t index) {
    if (!expr.operands[index]) return std::nullopt;
    const Value value = evaluate(*expr.operands[index]);
    if (std::holds_alternative<None>(value)) return std::nullopt;
    if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
    error(expr.line, fmt::format("a slice's bounds are whole numbers, found {}", kind_name(value)));
  }

  /// The indices that Python's slice takes from `size` items.
  std::vector<std::size_t> slice_indices(const Expr& expr, std::int64_t size) {
    const std::optional<std::int64_t> start = slice_bound(expr, 1);
    const std::optional<std::int64_t> stop = slice_bound(expr, 2);
    const std::int64_t step = slice_bound(expr, 3).value_or(1);
    if (step == 0) error(expr.line, "a slice with step 0");
    const std::int64_t lowest = step > 0 ? 0 : -1;
    const std::int64_t highest = step > 0 ? size : size - 1;
    const auto bound = [&](std::optional<std::int64_t> given, std::int64_t absent) {
      if (!given) return absent;
      return std::clamp(*given < 0 ? *given + size : *given, lowest, highest);
    };
    const std::int64_t begin = bound(start, step > 0 ? 0 : size - 1);
    const std::int64_t end = bound(stop, step > 0 ? size : -1);
    std::vector<std::size_t> indices;
    for (std::int64_t index = begin; step > 0 ? index < end : index > end;) {
      indices.push_back(static_cast<std::size_t>(index));
      if (__builtin_add_overflow(index, step, &index)) break;
    }
    budget_.charge_bytes(64 + indices.size() * sizeof(Value));
    return indices;
  }

  Value slice(const Expr& expr) {
    const Value object = evaluate(*expr.operands[0]);
    if (const auto* list = std::get_if<const List*>(&object)) {
      const auto& items = (*list)->items;
      std::vector<Value> taken;
      for (const std::size_t index : slice_indices(expr, static_cast<std::int64_t>(items.size()))) {
        taken.push_back(items[index]);
      }
      return arena_.list(std::move(taken));
    }
    if (const auto* text = std::get_if<Text>(&object)) {
      const std::vector<std::string_view> characters = characters_of(**text);
      std::string taken;
      for (const std::size_t index :
           slice_indices(expr, static_cast<std::int64_t>(characters.size()))) {
        taken += characters[index];
      }
      return text_value(std::move(taken));
    }
    if (const auto* missing = std::get_if<Undefined>(&object)) error(expr.line, *missing->what);
    fail(ErrorCode::kUnsupported, "chat template: line {}: slicing {} is not supported", expr.line,
         kind_name(object));
  }

  static std::string_view operator_name(ExprKind kind) {
    switch (kind) {
      case ExprKind::kSubtract:
      case ExprKind::kNegative:
        return "-";
      case ExprKind::kMultiply:
        return "*";
      case ExprKind::kFloorDivide:
        return "//";
      case ExprKind::kModulo:
        return "%";
      default:
        return "+";
    }
  }

  Value arithmetic(const Expr& expr, const Value& left, const Value& right) {
    const auto* left_text = std::get_if<Text>(&left);
    const auto* right_text = std::get_if<Text>(&right);
    if (expr.kind == ExprKind::kAdd && left_text != nullptr && right_text != nullptr) {
      budget_.charge_bytes((*left_text)->size() + (*right_text)->size());
      return text_value(**left_text + **right_text);
    }
    if (expr.kind == ExprKind::kModulo && left_text != nullptr) {
      fail(ErrorCode::kUnsupported,
           "chat template: line {}: formatting a string with '%' is not supported", expr.line);
    }
    if (const auto* missing = std::get_if<Undefined>(&left)) error(expr.line, *missing->what);
    if (const auto* missing = std::get_if<Undefined>(&right)) error(expr.line, *missing->what);
    const auto* left_list = std::get_if<const List*>(&left);
    const auto* right_list = std::get_if<const List*>(&right);
    if (expr.kind == ExprKind::kAdd && left_list != nullptr && right_list != nullptr) {
      std::vector<Value> items = iterate(left, budget_, expr.line);
      const std::vector<Value> more = iterate(right, budget_, expr.line);
      items.insert(items.end(), more.begin(), more.end());
      return arena_.list(std::move(items));
    }
    const std::optional<std::int64_t> a = as_number(left);
    const std::optional<std::int64_t> b = as_number(right);
    if (!a || !b) {
      // Python repeats a string or list that is multiplied.
      const bool repeats = expr.kind == ExprKind::kMultiply;
      fail(repeats ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument,
           "chat template: line {}: '{}' of {} and {} is not {}", expr.line,
           operator_name(expr.kind), kind_name(left), kind_name(right),
           repeats ? "supported" : "possible");
    }
    return whole_number(expr, *a, *b);
  }

  static std::int64_t whole_number(const Expr& expr, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool overflow = false;
    switch (expr.kind) {
      case ExprKind::kSubtract:
      case ExprKind::kNegative:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
      case ExprKind::kMultiply:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
      case ExprKind::kFloorDivide:
      case ExprKind::kModulo: {
        if (b == 0) error(expr.line, "division by zero");
        if (b == -1) {
          overflow = __builtin_sub_overflow(std::int64_t{0}, a, &result);
          if (expr.kind == ExprKind::kModulo) return 0;
          break;
        }
        // Python rounds towards minus infinity.
        const bool rounds_down = a % b != 0 && (a % b < 0) != (b < 0);
        if (expr.kind == ExprKind::kModulo) return a % b + (rounds_down ? b : 0);
        return a / b - (rounds_down ? 1 : 0);
      }
      default:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    }
    if (overflow) error(expr.line, "a number too large");
    return result;
  }

  Value compare(const Expr& expr) {
    Value left = evaluate(*expr.operands[0]);
    for (std::size_t i = 0; i < expr.comparisons.size(); ++i) {
      Value right = evaluate(*expr.operands[i + 1]);
      if (!holds(expr.comparisons[i], left, right, expr.line)) return false;
      left = std::move(right);
    }
    return true;
  }

  bool equal(const Value& left, const Value& right, int line) {
    const std::size_t size = std::min(size_of_value(left), size_of_value(right));
    if (size > kMaxComparedBytes) error(line, "values too large to compare");
    budget_.charge_bytes(size);
    return is_equal(left, right);
  }

  bool holds(Comparison comparison, const Value& left, const Value& right, int line) {
    switch (comparison) {
      case Comparison::kEqual:
        return equal(left, right, line);
      case Comparison::kUnequal:
        return !equal(left, right, line);
      case Comparison::kIn:
        return contains(right, left, line);
      case Comparison::kNotIn:
        return !contains(right, left, line);
      default:
        break;
    }
    int order = 0;
    const std::optional<std::int64_t> a = as_number(left);
    const std::optional<std::int64_t> b = as_number(right);
    const auto* left_text = std::get_if<Text>(&left);
    const auto* right_text = std::get_if<Text>(&right);
    if (a && b) {
      order = *a < *b ? -1 : *a > *b ? 1 : 0;
    } else if (left_text != nullptr && right_text != nullptr) {
      budget_.charge_bytes(std::min((*left_text)->size(), (*right_text)->size()));
      // Code point order, as Python's, is byte order in UTF-8.
      order = (*left_text)->compare(**right_text);
    } else if (std::holds_alternative<const List*>(left) && left.index() == right.index()) {
      fail(ErrorCode::kUnsupported, "chat template: line {}: ordering lists is not supported",
           line);
    } else {
      error(line, fmt::format("{} and {} have no order", kind_name(left), kind_name(right)));
    }
    switch (comparison) {
      case Comparison::kLess:
        return order < 0;
      case Comparison::kLessEqual:
        return order <= 0;
      case Comparison::kGreater:
        return order > 0;
      default:
        return order >= 0;
    }
  }

  bool contains(const Value& container, const Value& sought, int line) {
    if (const auto* text = std::get_if<Text>(&container)) {
      const auto* part = std::get_if<Text>(&sought);
      if (part == nullptr) {
        error(line, fmt::format("'in' a string expects a string, found {}", kind_name(sought)));
      }
      budget_.charge_bytes((*text)->size() / 16 * (*part)->size() + (*text)->size());
      return (*text)->find(**part) != std::string::npos;
    }
    if (std::holds_alternative<const Dict*>(container) &&
        (std::holds_alternative<const List*>(sought) ||
         std::holds_alternative<const Dict*>(sought))) {
      error(line, fmt::format("{} can't be a key", kind_name(sought)));
    }
    const std::vector<Value> items = iterate(container, budget_, line);
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& item) { return equal(sought, item, line); });
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
