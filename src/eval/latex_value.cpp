// lm-eval compares answers with SymPy, which simplifies their difference; here both are evaluated
// at a few complex points, where different analytic formulas differ with probability 1.
#include "eval/latex_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <string>

#include "base/check.h"

namespace fdllm::eval {
namespace {

using Value = std::complex<double>;

constexpr std::size_t kMaxLength = 1000;
constexpr int kMaxDepth = 60;
constexpr int kSamples = 3;

struct Function {
  std::string_view name;
  Value (*apply)(Value);
};

constexpr Function kFunctions[] = {
    {"sin", [](Value x) { return std::sin(x); }},
    {"cos", [](Value x) { return std::cos(x); }},
    {"tan", [](Value x) { return std::tan(x); }},
    {"cot", [](Value x) { return 1.0 / std::tan(x); }},
    {"sec", [](Value x) { return 1.0 / std::cos(x); }},
    {"csc", [](Value x) { return 1.0 / std::sin(x); }},
    {"arcsin", [](Value x) { return std::asin(x); }},
    {"arccos", [](Value x) { return std::acos(x); }},
    {"arctan", [](Value x) { return std::atan(x); }},
    {"ln", [](Value x) { return std::log(x); }},
    {"exp", [](Value x) { return std::exp(x); }},
};

/// A command that isn't the name of a variable.
constexpr std::string_view kNoVariables[] = {
    "frac",  "sqrt", "cdot",     "times", "div", "left", "right", "log",    "text",
    "begin", "end",  "le",       "ge",    "leq", "geq",  "ne",    "neq",    "in",
    "cup",   "cap",  "infty",    "pm",    "mp",  "circ", "to",    "approx", "equiv",
    "pmod",  "bmod", "overline", "binom", "sum", "int",  "lim",   "prod",   "vec",
};

struct NoValue {};

class Parser {
 public:
  Parser(std::string_view text, int sample) : text_(text), sample_(sample) {}

  Value parse() {
    const Value value = sum();
    skip_spaces();
    if (at_ != text_.size()) throw NoValue{};
    return value;
  }

 private:
  /// Counts how deep the formula is nested.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) throw NoValue{};
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  void skip_spaces() {
    while (at_ < text_.size()) {
      if (text_[at_] == ' ' || text_[at_] == '~') {
        ++at_;
      } else if (!take("\\,") && !take("\\!") && !take("\\:")) {
        return;
      }
    }
  }

  bool take(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  bool take_symbol(std::string_view token) {
    skip_spaces();
    return take(token);
  }

  /// The name of the command that begins here, or nothing.
  std::string_view command() const {
    if (at_ >= text_.size() || text_[at_] != '\\') return {};
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    return text_.substr(at_ + 1, end - at_ - 1);
  }

  bool take_command(std::string_view name) {
    skip_spaces();
    if (command() != name) return false;
    at_ += name.size() + 1;
    return true;
  }

  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  void require(std::string_view token) {
    if (!take_symbol(token)) throw NoValue{};
  }

  Value sum() {
    const Level level(*this);
    Value value = product();
    for (;;) {
      if (take_symbol("+")) {
        value += product();
      } else if (take_symbol("-")) {
        value -= product();
      } else {
        return value;
      }
    }
  }

  Value product() {
    Value value = signed_power();
    for (;;) {
      if (take_symbol("*") || take_command("cdot") || take_command("times")) {
        value *= signed_power();
      } else if (take_symbol("/") || take_command("div")) {
        value = quotient(value, signed_power());
      } else if (begins_factor()) {
        value *= power();
      } else {
        return value;
      }
    }
  }

  static Value quotient(Value a, Value b) {
    if (b == Value{}) throw NoValue{};
    return a / b;
  }

  Value signed_power() {
    const Level level(*this);
    if (take_symbol("-")) return -signed_power();
    if (take_symbol("+")) return signed_power();
    return power();
  }

  bool begins_factor() {
    skip_spaces();
    if (at_ >= text_.size()) return false;
    const char c = text_[at_];
    if (c == '\\') {
      const std::string_view name = command();
      return name != "right" && name != "cdot" && name != "times" && name != "div";
    }
    return is_letter(c) || is_digit(c) || c == '.' || c == '(' || c == '{' || c == '[';
  }

  Value power() {
    const Level level(*this);
    Value value = factorials(atom());
    if (take_symbol("^")) {
      const Value exponent = argument();
      if (value == Value{} && exponent.real() <= 0) throw NoValue{};
      value = std::pow(value, exponent);
    }
    return factorials(value);
  }

  Value factorials(Value value) {
    while (take_symbol("!")) value = std::tgamma(real_of(value) + 1);
    return value;
  }

  static double real_of(Value value) {
    if (std::abs(value.imag()) > 1e-12) throw NoValue{};
    return value.real();
  }

  /// {formula}, or one number, letter or command (as SymPy reads it, "x^10" has an exponent of 10).
  Value argument() {
    skip_spaces();
    if (take("{")) return closed("}");
    return atom();
  }

  Value closed(std::string_view closing) {
    const Value value = sum();
    require(closing);
    return value;
  }

  Value atom() {
    const Level level(*this);
    skip_spaces();
    if (at_ >= text_.size()) throw NoValue{};
    const char c = text_[at_];
    if (is_digit(c) || c == '.') return number();
    if (is_letter(c)) {
      ++at_;
      return variable(text_.substr(at_ - 1, 1));
    }
    if (take("{")) return closed("}");
    if (take("(")) return closed(")");
    if (take("[")) return closed("]");
    if (take("|")) return magnitude();
    if (c == '\\') return command_value();
    throw NoValue{};
  }

  Value magnitude() {
    const Value value = std::abs(sum());
    require("|");
    return value;
  }

  Value number() {
    std::size_t end = at_;
    while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '.')) ++end;
    double value = 0;
    const char* last = text_.data() + end;
    const auto [stop, error] =
        std::from_chars(text_.data() + at_, last, value, std::chars_format::fixed);
    if (error != std::errc{} || stop != last) throw NoValue{};
    at_ = end;
    return value;
  }

  /// A point of the complex plane that depends on the variable's name (subscript included) alone.
  Value variable(std::string_view name) {
    std::string whole(name);
    if (take("_")) {
      const std::size_t begin = at_;
      if (take("{")) {
        const std::size_t close = text_.find('}', at_);
        if (close == std::string_view::npos) throw NoValue{};
        at_ = close + 1;
      } else if (at_ < text_.size()) {
        ++at_;
      } else {
        throw NoValue{};
      }
      whole += '_';
      for (const char c : text_.substr(begin, at_ - begin)) {
        if (c != '{' && c != '}') whole += c;
      }
    }
    double x = 0.37 + sample_;
    for (const char c : whole) x = std::fmod(x * 7.31 + static_cast<unsigned char>(c) * 0.618, 3.7);
    // Also left of the imaginary axis, where the root of a square is something else.
    return {sample_ == 1 ? -0.4 - x : 0.4 + x, 0.3 + std::fmod(x * 5.17, 1.3)};
  }

  Value command_value() {
    const std::string_view name = command();
    if (name.empty()) throw NoValue{};
    at_ += name.size() + 1;
    if (name == "frac" || name == "dfrac" || name == "tfrac") {
      const Value numerator = argument();
      return quotient(numerator, argument());
    }
    if (name == "sqrt") return root();
    if (name == "left") return bracketed();
    if (name == "log") return logarithm();
    const auto function = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                       [&](const Function& known) { return known.name == name; });
    if (function != std::end(kFunctions)) {
      if (!take_symbol("^")) return function->apply(operand());
      const Value exponent = argument();
      return std::pow(function->apply(operand()), exponent);
    }
    const bool is_variable =
        std::find(std::begin(kNoVariables), std::end(kNoVariables), name) == std::end(kNoVariables);
    if (!is_variable) throw NoValue{};
    return variable(name);
  }

  /// What a function takes: a bracket, after which a power is the function's, or a power.
  Value operand() {
    skip_spaces();
    const bool bracket = (at_ < text_.size() && text_[at_] == '(') || command() == "left";
    return bracket ? atom() : signed_power();
  }

  Value root() {
    Value degree = 2;
    if (take_symbol("[")) degree = closed("]");
    const Value radicand = argument();
    if (degree == Value{}) throw NoValue{};
    if (degree == Value{2}) return std::sqrt(radicand);
    return std::pow(radicand, 1.0 / degree);
  }

  Value bracketed() {
    skip_spaces();
    for (const auto& [open, close] :
         {std::pair{"(", ")"}, {"[", "]"}, {"\\{", "\\}"}, {"|", "|"}}) {
      if (!take(open)) continue;
      const Value value = sum();
      if (!take_command("right")) throw NoValue{};
      require(close);
      return open == std::string_view("|") ? Value{std::abs(value)} : value;
    }
    throw NoValue{};
  }

  Value logarithm() {
    double base = 10;
    if (take_symbol("_")) base = real_of(argument());
    if (base <= 0 || base == 1) throw NoValue{};
    return std::log(signed_power()) / std::log(base);
  }

  std::string_view text_;
  int sample_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::optional<Value> latex_value(std::string_view formula, int sample) {
  if (formula.empty() || formula.size() > kMaxLength) return std::nullopt;
  try {
    const Value value = Parser(formula, sample).parse();
    if (!std::isfinite(value.real()) || !std::isfinite(value.imag())) return std::nullopt;
    return value;
  } catch (const NoValue&) {
    return std::nullopt;
  }
}

bool same_math_answer(std::string_view a, std::string_view b) {
  if (!a.empty() && a == b) return true;
  for (int sample = 0; sample < kSamples; ++sample) {
    const auto x = latex_value(a, sample);
    const auto y = latex_value(b, sample);
    if (!x || !y) return false;
    const double scale = std::max({1.0, std::abs(*x), std::abs(*y)});
    if (std::abs(*x - *y) > 1e-10 * scale) return false;
  }
  return true;
}

}  // namespace fdllm::eval
