#include "text/jinja/renderer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/evaluator.h"
#include "text/jinja/python_repr.h"

namespace fdllm::jinja {
namespace {

/// Why a block ended.
enum class Flow : std::uint8_t { kDone, kBreak, kContinue };

class Renderer : private Evaluator {
 public:
  Renderer(const Dict& variables, Runtime& runtime) : Evaluator(runtime) {
    for (const auto& [name, value] : variables.items) {
      bind(*std::get<Text>(name), value);
    }
  }

  std::string run(const Block& block) {
    run_block(block);
    return std::move(out_);
  }

 private:
  void print(std::string_view text) {
    runtime().budget().charge_bytes(text.size());
    out_ += text;
  }

  void bind(std::string_view name, Value value) {
    scopes().current().names.insert_or_assign(std::string(name), std::move(value));
  }

  /// What `run` prints, which goes nowhere else.
  template <typename Run>
  std::string capture(Run&& run) {
    std::string outer = std::exchange(out_, {});
    run();
    std::swap(outer, out_);
    return outer;
  }

  std::string capture_block(const Block& block) {
    return capture([&] {
      const Scopes::Inner scope(scopes());
      run_block(block);
    });
  }

  Flow run_block(const Block& block) {
    const Level level(*this);
    for (const Statement& statement : block) {
      runtime().budget().charge(1);
      runtime().set_line(statement.line);
      const Flow flow = run_statement(statement);
      if (flow != Flow::kDone) return flow;
    }
    return Flow::kDone;
  }

  Flow run_statement(const Statement& statement) {
    switch (statement.kind) {
      case StatementKind::kData:
        print(statement.text);
        break;
      case StatementKind::kOutput:
        run_output(statement);
        break;
      case StatementKind::kIf:
        return run_if(statement);
      case StatementKind::kFor:
        return run_for(statement);
      case StatementKind::kSet:
        assign(statement.target, evaluate(*statement.expression));
        break;
      case StatementKind::kSetBlock:
      case StatementKind::kFilterBlock:
        run_captured(statement);
        break;
      case StatementKind::kMacro:
        bind(statement.macro->name, macro_value(*statement.macro));
        break;
      case StatementKind::kCallBlock:
        run_call(statement);
        break;
      case StatementKind::kWith:
        return run_with(statement);
      case StatementKind::kGeneration:
        print(capture_block(statement.body));
        break;
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kDone;
  }

  void run_output(const Statement& statement) {
    const Value value = evaluate(*statement.expression);
    if (const auto* text = std::get_if<Text>(&value)) {
      print(**text);
    } else {
      print(to_text(value, runtime()));
    }
  }

  void run_captured(const Statement& statement) {
    Value value = runtime().text(capture_block(statement.body));
    runtime().set_line(statement.line);
    if (statement.expression) value = evaluate_filters(*statement.expression, value);
    if (statement.kind == StatementKind::kSetBlock) {
      assign(statement.target, std::move(value));
    } else {
      print(to_text(value, runtime()));
    }
  }

  Flow run_if(const Statement& statement) {
    for (const Branch& branch : statement.branches) {
      if (!branch.condition || is_true(evaluate(*branch.condition))) return run_block(branch.body);
    }
    return Flow::kDone;
  }

  Flow run_with(const Statement& statement) {
    std::vector<Value> values;
    for (const auto& [target, expression] : statement.assignments) {
      values.push_back(evaluate(*expression));
    }
    const Scopes::Inner scope(scopes());
    for (std::size_t i = 0; i < values.size(); ++i) {
      assign(statement.assignments[i].first, std::move(values[i]));
    }
    return run_block(statement.body);
  }

  // --- assignment ---

  void assign(const Target& target, Value value) {
    runtime().budget().charge(8);
    if (target.is_tuple) {
      std::vector<Value> parts = runtime().iterate(value);
      if (holds<Undefined>(value) || parts.size() != target.parts.size()) {
        runtime().error(fmt::format("expected {} values to unpack, found {}", target.parts.size(),
                                    parts.size()));
      }
      for (std::size_t i = 0; i < parts.size(); ++i) assign(target.parts[i], std::move(parts[i]));
    } else if (target.attribute.empty()) {
      bind(target.name, std::move(value));
    } else {
      assign_attribute(target, std::move(value));
    }
  }

  void assign_attribute(const Target& target, Value value) {
    const Value* found = scopes().find(target.name);
    auto* const* space = found != nullptr ? std::get_if<Namespace*>(found) : nullptr;
    if (space == nullptr) {
      runtime().error(quote(target.name) + " is no namespace, so its attribute can't be set");
    }
    if (target.attribute.starts_with('_')) {
      runtime().error("a namespace's attribute must not begin with '_': " +
                      quote(target.attribute));
    }
    const bool is_new =
        (*space)->attributes.insert_or_assign(target.attribute, std::move(value)).second;
    if (is_new) (*space)->order.push_back(target.attribute);
  }

  // --- loops ---

  Flow run_for(const Statement& statement) {
    return run_loop(statement, evaluate(*statement.expression), 1);
  }

  /// Items one at a time, those that fail the loop's condition left out.
  std::function<std::optional<Value>()> puller(const Statement& statement, const Value& iterable) {
    auto items = std::make_shared<const std::vector<Value>>(runtime().iterate(iterable));
    Scope* around = &scopes().current();
    return
        [this, &statement, items, around, next = std::size_t{0}]() mutable -> std::optional<Value> {
          while (next < items->size()) {
            const Value& item = (*items)[next++];
            if (!statement.condition || passes(statement, item, around)) return item;
          }
          return std::nullopt;
        };
  }

  bool passes(const Statement& statement, const Value& item, Scope* around) {
    const Scopes::Inner scope(scopes(), around);
    assign(statement.target, item);
    return is_true(evaluate(*statement.condition));
  }

  Flow run_loop(const Statement& statement, const Value& iterable, std::int64_t depth) {
    Loop* loop = runtime().arena().loop();
    runtime().budget().charge(32);
    loop->pull = puller(statement, iterable);
    loop->depth = depth;
    if (statement.is_recursive) {
      Scope* around = scopes().keep_current();
      loop->recurse = [this, &statement, around, depth](const Value& inner) {
        return recurse(statement, inner, around, depth + 1);
      };
    }
    if (!loop->reaches(0)) {
      const Scopes::Inner scope(scopes());
      return run_block(statement.otherwise);
    }
    for (; loop->reaches(loop->index); ++loop->index) {
      const Scopes::Inner scope(scopes());
      runtime().budget().charge(8);
      runtime().set_line(statement.line);
      assign(statement.target, loop->items[loop->index]);
      bind("loop", loop);
      if (run_block(statement.body) == Flow::kBreak) break;
    }
    return Flow::kDone;
  }

  /// What the loop prints for `iterable`, as a loop within itself.
  Value recurse(const Statement& statement, const Value& iterable, Scope* around,
                std::int64_t depth) {
    return runtime().text(capture([&] {
      const Scopes::Inner scope(scopes(), around);
      run_loop(statement, iterable, depth);
    }));
  }

  // --- macros ---

  Value macro_value(const MacroDefinition& definition) {
    runtime().budget().charge(16);
    Scope* scope = scopes().keep_current();
    const Macro* macro = &macros_.emplace_back(Macro{&definition, scope});
    return runtime().arena().callable({CallableKind::kMacro, definition.name, None{}, macro});
  }

  void run_call(const Statement& statement) {
    const Value callee = evaluate(*statement.expression->operands[0]);
    Arguments arguments = evaluate_arguments(*statement.expression, 1);
    arguments.named.emplace_back("caller", macro_value(*statement.macro));
    print(to_text(call(callee, arguments), runtime()));
  }

  Value call_macro(const Callable& callable, const Arguments& arguments) override {
    const MacroDefinition& definition = *callable.macro->definition;
    return runtime().text(capture([&] {
      const Scopes::Inner scope(scopes(), callable.macro->scope);
      bind_parameters(definition, arguments);
      run_block(definition.body);
    }));
  }

  void bind_parameters(const MacroDefinition& definition, const Arguments& arguments) {
    std::vector<std::pair<std::string, Value>> named = arguments.named;
    const auto take_named = [&](std::string_view name) -> std::optional<Value> {
      const auto found = std::find_if(named.begin(), named.end(),
                                      [&](const auto& entry) { return entry.first == name; });
      if (found == named.end()) return std::nullopt;
      Value value = std::move(found->second);
      named.erase(found);
      return value;
    };
    const auto& parameters = definition.parameters;
    runtime().budget().charge(8 * (parameters.size() + named.size() + 1));
    std::vector<std::optional<Value>> given(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      given[i] = i < arguments.positional.size() ? std::optional(arguments.positional[i])
                                                 : take_named(parameters[i].name);
    }
    bind_special(definition, arguments, named);
    // A name that isn't given yet hides one of the same name outside.
    for (const auto& parameter : parameters) {
      bind(parameter.name, undefined_value(quote(parameter.name) + " is not given yet"));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto& parameter = parameters[i];
      if (given[i]) {
        bind(parameter.name, *std::move(given[i]));
      } else if (parameter.fallback) {
        bind(parameter.name, evaluate(*parameter.fallback));
      } else {
        bind(parameter.name,
             undefined_value("parameter " + quote(parameter.name) + " was not provided"));
      }
    }
  }

  /// `caller`, `kwargs` and `varargs`, where the macro's body reads them.
  void bind_special(const MacroDefinition& definition, const Arguments& arguments,
                    std::vector<std::pair<std::string, Value>>& named) {
    const std::string who =
        definition.name.empty() ? "the block of a call" : "macro " + quote(definition.name);
    if (definition.uses_caller) {
      const auto found = std::find_if(named.begin(), named.end(),
                                      [](const auto& entry) { return entry.first == "caller"; });
      if (found != named.end()) {
        bind("caller", std::move(found->second));
        named.erase(found);
      } else {
        bind("caller", undefined_value("no caller is defined"));
      }
    }
    if (definition.uses_keywords) {
      std::vector<std::pair<Value, Value>> items;
      for (const auto& [name, value] : named) items.emplace_back(text_value(name), value);
      bind("kwargs", runtime().dict(std::move(items)));
    } else if (!named.empty()) {
      runtime().error(who + " takes no argument " + quote(named.front().first));
    }
    const std::size_t count = definition.parameters.size();
    const auto& positional = arguments.positional;
    if (definition.uses_arguments) {
      const auto begin =
          positional.begin() + static_cast<std::ptrdiff_t>(std::min(count, positional.size()));
      bind("varargs", runtime().list({begin, positional.end()}, ListKind::kTuple));
    } else if (positional.size() > count) {
      runtime().error(
          fmt::format("{} takes at most {} arguments, found {}", who, count, positional.size()));
    }
  }

  std::deque<Macro> macros_;
  std::string out_;
};

}  // namespace

std::string render(const Block& block, const Dict& variables, Runtime& runtime) {
  return Renderer(variables, runtime).run(block);
}

}  // namespace fdllm::jinja
