#include "base/json_python.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>

namespace fdllm {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_token_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '-' ||
         c == '.';
}

/// The four hexadecimal digits of a \u escape at the front of `text`.
std::optional<std::uint32_t> escaped_unit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return std::nullopt;
  std::uint32_t unit = 0;
  for (const char c : text.substr(2, 4)) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (is_digit(lower)) {
      unit = unit * 16 + static_cast<std::uint32_t>(lower - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      unit = unit * 16 + static_cast<std::uint32_t>(lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return unit;
}

class Rewriter {
 public:
  Rewriter(std::string_view text, StrictJson& strict) : text_(text), strict_(strict) {}

  void run() {
    strict_.text = text_;
    std::size_t i = 0;
    while (i < text_.size()) {
      if (text_[i] == '"') {
        i = skip_string(i + 1);
      } else if (is_token_character(text_[i])) {
        i = skip_token(i);
      } else {
        ++i;
      }
    }
    if (!strict_.changed.empty()) strict_.text = strict_.changed;
  }

 private:
  /// The place behind the closing quote of a string whose first character is at `i`.
  std::size_t skip_string(std::size_t i) {
    constexpr std::size_t kEscape = 6;  // \uXXXX
    while (i < text_.size() && text_[i] != '"') {
      if (text_[i] != '\\') {
        ++i;
        continue;
      }
      const auto unit = escaped_unit(text_.substr(i));
      if (!unit) {
        i += 2;
      } else if (*unit < 0xd800 || *unit > 0xdfff) {
        i += kEscape;
      } else if (const auto low = escaped_unit(text_.substr(i + kEscape));
                 *unit < 0xdc00 && low && *low >= 0xdc00 && *low <= 0xdfff) {
        i += 2 * kEscape;
      } else {
        replace(i + 2, "fffd");
        i += kEscape;
      }
    }
    return i + 1;
  }

  std::size_t skip_token(std::size_t begin) {
    std::size_t end = begin;
    while (end < text_.size() && is_token_character(text_[end])) ++end;
    const std::string_view token = text_.substr(begin, end - begin);
    const auto special = special_value(token);
    if (special) {
      strict_.numbers.push_back({numbers_, *special});
      std::string zero(token.size(), ' ');
      zero.front() = '0';
      replace(begin, zero);
    }
    if (special || token.front() == '-' || is_digit(token.front())) ++numbers_;
    return end;
  }

  static std::optional<double> special_value(std::string_view token) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    // No shorter number leaves the range of a double.
    constexpr std::size_t kShortest = 4;
    if (token == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (token == "Infinity") return kInfinity;
    if (token == "-Infinity") return -kInfinity;
    if (token.size() < kShortest || !(token.front() == '-' || is_digit(token.front()))) {
      return std::nullopt;
    }
    const std::string number(token);
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    const bool is_whole = end == number.c_str() + number.size();
    if (is_whole && std::isinf(value) && is_json_number(number)) return value;
    return std::nullopt;
  }

  /// Of what strtod takes: no names, hexadecimal digits or leading zeros.
  static bool is_json_number(const std::string& number) {
    const std::size_t first = number.front() == '-' ? 1 : 0;
    if (number.find_first_not_of("0123456789+-.eE") != std::string::npos) return false;
    if (first >= number.size() || !is_digit(number[first])) return false;
    return number[first] != '0' || first + 1 == number.size() || !is_digit(number[first + 1]);
  }

  void replace(std::size_t at, std::string_view by) {
    if (strict_.changed.empty()) strict_.changed = text_;
    strict_.changed.replace(at, by.size(), by);
  }

  std::string_view text_;
  StrictJson& strict_;
  std::size_t numbers_ = 0;
};

}  // namespace

void make_strict(std::string_view text, StrictJson& strict) {
  Rewriter(text, strict).run();
}

}  // namespace fdllm
