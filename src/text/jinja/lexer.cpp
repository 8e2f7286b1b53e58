#include "text/jinja/lexer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "text/jinja/literals.h"
#include "text/jinja/python_characters.h"

namespace fdllm::jinja {
namespace {

constexpr std::size_t kMaxSourceBytes = std::size_t{1} << 20;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool continues_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}
/// "\r\n" and "\r" become "\n", and one newline at the very end is dropped.
std::string normalize_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text.push_back(source[i]);
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      text.push_back('\n');
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::size_t end_of_space(std::string_view text, std::size_t offset) {
  while (offset < text.size()) {
    const Utf8Unit unit = read_utf8(text, offset);
    if (!is_python_space(unit.value)) break;
    offset += unit.size;
  }
  return offset;
}

std::string_view without_trailing_space(std::string_view text) {
  std::size_t end = 0;
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Unit unit = read_utf8(text, offset);
    offset += unit.size;
    if (!is_python_space(unit.value)) end = offset;
  }
  return text.substr(0, end);
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) read_data_and_tag();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(std::string_view what) const {
    fail(ErrorCode::kCorruptFile, "line {}: {}", line_, what);
  }

  char at(std::size_t offset) const { return offset < source_.size() ? source_[offset] : '\0'; }
  bool starts(std::string_view text) const {
    return std::string_view(source_).substr(position_).starts_with(text);
  }

  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void add_literal(Literal literal) {
    add(literal.kind, std::move(literal.text));
    advance_to(literal.end);
  }

  void advance_to(std::size_t position) {
    line_ +=
        static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(position_),
                                    source_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    position_ = position;
  }

  void read_data_and_tag() {
    std::size_t open = source_.find('{', position_);
    while (open != std::string::npos && at(open + 1) != '{' && at(open + 1) != '%' &&
           at(open + 1) != '#') {
      open = source_.find('{', open + 1);
    }
    const std::string_view data = std::string_view(source_).substr(position_);
    if (open == std::string::npos) {
      add_data(data);
      advance_to(source_.size());
      return;
    }
    const char kind = at(open + 1);
    const char sign = sign_at(open + 2);
    add_data(before_tag(data.substr(0, open - position_), kind, sign));
    advance_to(open);
    const std::size_t inside = open + (sign == '\0' ? 2 : 3);
    if (kind == '#') {
      skip_comment(inside);
    } else if (kind == '%' && is_word_tag(inside, "raw")) {
      read_raw(inside);
    } else {
      add(kind == '{' ? TokenKind::kOutputBegin : TokenKind::kTagBegin, "");
      advance_to(inside);
      read_tag(kind);
    }
  }

  char sign_at(std::size_t offset) const {
    return at(offset) == '-' || at(offset) == '+' ? at(offset) : '\0';
  }

  /// What is left of the text before a tag by the tag's sign and lstrip_blocks.
  std::string_view before_tag(std::string_view data, char kind, char sign) const {
    if (sign == '-') return without_trailing_space(data);
    if (sign == '+' || kind == '{') return data;
    const std::size_t line_start = data.rfind('\n') + 1;  // 0 where there is none
    const bool opens_line =
        (line_start > 0 || at_line_start_) && end_of_space(data, line_start) == data.size();
    return opens_line ? data.substr(0, line_start) : data;
  }

  /// Whether a tag with the content `word` and nothing else is at `inside`.
  bool is_word_tag(std::size_t inside, std::string_view word) const {
    const std::size_t start = end_of_space(source_, inside);
    if (!std::string_view(source_).substr(start).starts_with(word)) return false;
    std::size_t end = end_of_space(source_, start + word.size());
    if (sign_at(end) != '\0') ++end;
    return std::string_view(source_).substr(end).starts_with("%}");
  }

  /// From behind the "{%" of a raw tag to behind its endraw.
  void read_raw(std::size_t inside) {
    std::size_t start = source_.find("%}", inside) + 2;
    if (source_[start - 3] == '+') error("'+%}' at a raw tag");
    if (source_[start - 3] == '-') start = end_of_space(source_, start);
    advance_to(start);
    if (start == source_.size()) return;  // as with a comment
    at_line_start_ = source_[start - 1] == '\n';
    for (std::size_t open = source_.find("{%", start); open != std::string::npos;
         open = source_.find("{%", open + 2)) {
      const char sign = sign_at(open + 2);
      const std::size_t word = open + (sign == '\0' ? 2 : 3);
      if (!is_word_tag(word, "endraw")) continue;
      const std::string_view data = std::string_view(source_).substr(start, open - start);
      add_data(before_tag(data, '%', sign));
      const std::size_t close = source_.find("%}", word);
      finish_tag(close + 2, sign_at(close - 1), '%');
      return;
    }
    error("a tag 'raw' without its 'endraw'");
  }

  void add_data(std::string_view data) {
    if (!data.empty()) add(TokenKind::kData, std::string(data));
  }

  void skip_comment(std::size_t inside) {
    const std::size_t close = source_.find("#}", inside);
    if (inside == source_.size()) {  // jinja2 takes an opening at the very end for nothing
      advance_to(inside);
      return;
    }
    if (close == std::string::npos) error("a comment '{#' without its '#}'");
    finish_tag(close + 2, close > inside ? sign_at(close - 1) : '\0', '#');
  }

  /// Moves past a tag's end and the white space that goes with it.
  void finish_tag(std::size_t end, char sign, char kind) {
    if (sign == '-') {
      end = end_of_space(source_, end);
    } else if (sign == '\0' && kind != '{' && at(end) == '\n') {
      ++end;
    }
    advance_to(end);
    at_line_start_ = source_[end - 1] == '\n';
  }

  bool read_end(char kind) {
    if (!open_brackets_.empty()) return false;
    const std::string_view close = kind == '{' ? "}}" : "%}";
    const char first = at(position_);
    const bool has_sign = first == '-' || (first == '+' && kind == '%');
    if (!std::string_view(source_).substr(position_ + (has_sign ? 1 : 0)).starts_with(close)) {
      return false;
    }
    add(kind == '{' ? TokenKind::kOutputEnd : TokenKind::kTagEnd, "");
    finish_tag(position_ + (has_sign ? 3 : 2), has_sign ? first : '\0', kind);
    return true;
  }

  void read_tag(char kind) {
    const int first_line = line_;
    for (;;) {
      advance_to(end_of_space(source_, position_));
      if (position_ == source_.size()) {
        line_ = first_line;
        error(kind == '{' ? "'{{' without its '}}'" : "'{%' without its '%}'");
      }
      if (read_end(kind)) return;
      const char c = at(position_);
      if (const std::size_t end = end_of_name(position_); end > position_) {
        add(TokenKind::kName, source_.substr(position_, end - position_));
        advance_to(end);
      } else if (is_digit(c)) {
        add_literal(read_number(source_, position_, line_));
      } else if (c == '\'' || c == '"') {
        add_literal(read_string(source_, position_, line_));
      } else {
        read_operator();
      }
    }
  }

  /// The end of a name of letters of any script, digits and underscores; `start` where none is.
  std::size_t end_of_name(std::size_t start) const {
    std::size_t end = start;
    while (end < source_.size()) {
      const std::size_t size = utf8_length(source_[end]);
      const std::string_view character = std::string_view(source_).substr(end, size);
      const bool fits =
          size == 1 ? continues_name(source_[end]) : is_text_of(character, TextClass::kAlnum);
      if (!fits || (end == start && is_digit(source_[end]))) break;
      end += size;
    }
    return end;
  }

  void read_operator() {
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (starts(two)) {
        add(TokenKind::kOperator, std::string(two));
        advance_to(position_ + 2);
        return;
      }
    }
    const char c = at(position_);
    if (std::string_view("+-/*%~[](){}<>=.:|,").find(c) == std::string_view::npos) {
      error("unexpected character " + quote(source_.substr(position_, utf8_length(c))));
    }
    if (c == '(' || c == '[' || c == '{') {
      open_brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (open_brackets_.empty() || open_brackets_.back() != c) {
        error(std::string("unexpected '") + c + "'");
      }
      open_brackets_.pop_back();
    }
    add(TokenKind::kOperator, std::string(1, c));
    advance_to(position_ + 1);
  }

  std::string source_;
  std::vector<Token> tokens_;
  std::string open_brackets_;
  std::size_t position_ = 0;
  int line_ = 1;
  /// Whether what precedes position_ ends in a newline (or nothing precedes it).
  bool at_line_start_ = true;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    fail(ErrorCode::kUnsupported, "expected a template of at most {} bytes, found {}",
         kMaxSourceBytes, source.size());
  }
  return Lexer(source).run();
}

}  // namespace fdllm::jinja
