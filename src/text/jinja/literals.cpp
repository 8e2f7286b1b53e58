#include "text/jinja/literals.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"

namespace fdllm::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// What reading literals needs to know of where they are.
class LiteralReader {
 public:
  LiteralReader(std::string_view source, int line) : source_(source), line_(line) {}

  Literal number(std::size_t start) const {
    const char prefix = static_cast<char>(at(start + 1) | 0x20);
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10 && at(start) == '0') {
      std::size_t end = start + 2;
      const std::string digits = read_digits(end, base);
      if (!digits.empty()) return integer(digits, base, end);
    }
    std::size_t end = start;
    const std::string number = read_digits(end, 10);
    if (const std::string rest = read_fraction(start, end); !rest.empty()) {
      return {TokenKind::kFloat, number + rest, end};
    }
    if (number.size() > 1 && number[0] == '0' &&
        number.find_first_not_of('0') != std::string::npos) {
      error("a number with a leading zero");
    }
    return integer(number, 10, end);
  }

  Literal string(std::size_t start) const {
    const char delimiter = source_[start];
    std::string value;
    std::size_t i = start + 1;
    while (i < source_.size() && source_[i] != delimiter) {
      if (source_[i] != '\\') {
        value.push_back(source_[i++]);
      } else {
        i = read_escape(i + 1, value);
      }
    }
    if (i >= source_.size()) error("a string without its closing quote");
    return {TokenKind::kString, std::move(value), i + 1};
  }

 private:
  [[noreturn]] void error(std::string_view what) const {
    fail(ErrorCode::kCorruptFile, "line {}: {}", line_, what);
  }

  char at(std::size_t offset) const { return offset < source_.size() ? source_[offset] : '\0'; }

  /// Digits of a base with single underscores between them; moves `end` past them.
  std::string read_digits(std::size_t& end, int base) const {
    std::string digits;
    const auto fits = [&](std::size_t offset) {
      const int value = hex_value(at(offset));
      return value >= 0 && value < base;
    };
    while (fits(end) || (at(end) == '_' && fits(end + 1))) {
      if (at(end) != '_') digits.push_back(at(end));
      ++end;
    }
    return digits;
  }

  /// The fraction and exponent of a number that began at `start`; empty where it has neither.
  std::string read_fraction(std::size_t start, std::size_t& end) const {
    if (start > 0 && source_[start - 1] == '.') return {};
    std::string rest;
    if (at(end) == '.' && is_digit(at(end + 1))) {
      ++end;
      rest = "." + read_digits(end, 10);
    }
    const bool has_sign = at(end + 1) == '+' || at(end + 1) == '-';
    if ((at(end) == 'e' || at(end) == 'E') && is_digit(at(end + (has_sign ? 2 : 1)))) {
      rest += 'e';
      if (has_sign) rest += at(end + 1);
      end += has_sign ? 2 : 1;
      rest += read_digits(end, 10);
    }
    return rest;
  }

  Literal integer(const std::string& digits, int base, std::size_t end) const {
    std::int64_t value = 0;
    for (const char digit : digits) {
      if (__builtin_mul_overflow(value, std::int64_t{base}, &value) ||
          __builtin_add_overflow(value, std::int64_t{hex_value(digit)}, &value)) {
        fail(ErrorCode::kUnsupported, "line {}: a number beyond 64 bits is not supported", line_);
      }
    }
    return {TokenKind::kInteger, std::to_string(value), end};
  }

  /// Reads the escape whose letter is at `i`; returns where the next character starts.
  std::size_t read_escape(std::size_t i, std::string& value) const {
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    const char letter = at(i);
    if (const std::size_t found = kLetters.find(letter);
        letter != '\0' && found != std::string_view::npos) {
      value.push_back(kValues[found]);
      return i + 1;
    }
    if (letter == '\n') return i + 1;
    if (letter >= '0' && letter <= '7') {
      char32_t code = 0;
      std::size_t end = i;
      for (; end < i + 3 && at(end) >= '0' && at(end) <= '7'; ++end) {
        code = code * 8 + static_cast<char32_t>(at(end) - '0');
      }
      append_utf8(value, code);
      return end;
    }
    const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (digits > 0) {
      const std::optional<char32_t> code = read_hex(i + 1, digits);
      if (!code) error("a malformed '\\" + std::string(1, letter) + "' escape in a string");
      append_utf8(value, *code);
      return i + 1 + digits;
    }
    if (letter == 'N') error("the escape '\\N' in a string is not supported");
    value.push_back('\\');
    return i;
  }

  std::optional<char32_t> read_hex(std::size_t offset, std::size_t digits) const {
    char32_t code = 0;
    for (std::size_t i = offset; i < offset + digits; ++i) {
      const int digit = hex_value(at(i));
      if (digit < 0 || code > 0x10FFFF) return std::nullopt;
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return std::nullopt;
    return code;
  }

  std::string_view source_;
  int line_;
};

}  // namespace

Literal read_number(std::string_view source, std::size_t start, int line) {
  return LiteralReader(source, line).number(start);
}

Literal read_string(std::string_view source, std::size_t start, int line) {
  return LiteralReader(source, line).string(start);
}

}  // namespace fdllm::jinja
