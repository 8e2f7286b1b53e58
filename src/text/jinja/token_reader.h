#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/lexer.h"

namespace fdllm::jinja {

/// What both parsers share: the tokens, how to take them and how to complain.
class TokenReader {
 protected:
  explicit TokenReader(std::string_view source) : tokens_(tokenize(source)) {}

  /// Counts a level of recursion while it lives.
  class Nesting {
   public:
    Nesting(TokenReader& reader, int& level, int limit) : level_(level) {
      if (++level_ > limit) reader.unsupported(fmt::format("nesting deeper than {}", limit));
    }
    ~Nesting() { --level_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    int& level_;
  };

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(index_ + ahead, tokens_.size() - 1)];
  }
  Token take() {
    Token token = peek();
    if (index_ + 1 < tokens_.size()) ++index_;
    return token;
  }
  bool is(TokenKind kind, std::string_view text = {}) const {
    return peek().kind == kind && (text.empty() || peek().text == text);
  }
  bool is_operator(std::string_view text) const { return is(TokenKind::kOperator, text); }
  bool is_word(std::string_view text) const { return is(TokenKind::kName, text); }
  bool skip(TokenKind kind, std::string_view text) {
    const bool found = is(kind, text);
    if (found) take();
    return found;
  }
  bool skip_operator(std::string_view text) { return skip(TokenKind::kOperator, text); }
  bool skip_word(std::string_view text) { return skip(TokenKind::kName, text); }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::kEnd:
        return "the template's end";
      case TokenKind::kTagEnd:
        return "'%}'";
      case TokenKind::kOutputEnd:
        return "'}}'";
      case TokenKind::kData:
        return "text";
      case TokenKind::kTagBegin:
        return "'{%'";
      case TokenKind::kOutputBegin:
        return "'{{'";
      default:
        return quote(token.text);
    }
  }
  [[noreturn]] void expected(std::string_view what) const {
    fail(ErrorCode::kCorruptFile, "line {}: expected {}, found {}", peek().line, what,
         describe(peek()));
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    fail(ErrorCode::kUnsupported, "line {}: {} is not supported", peek().line, what);
  }
  void expect_operator(std::string_view text) {
    if (!skip_operator(text)) expected(fmt::format("'{}'", text));
  }
  std::string expect_name() {
    if (!is(TokenKind::kName)) expected("a name");
    return take().text;
  }
  /// The name of a filter or test, which may be several joined by dots.
  std::string expect_dotted_name() {
    std::string name = expect_name();
    while (skip_operator(".")) name += "." + expect_name();
    return name;
  }
  void expect_tag_end() {
    if (!is(TokenKind::kTagEnd)) expected("'%}'");
    take();
  }

 private:
  std::vector<Token> tokens_;
  std::size_t index_ = 0;
};

}  // namespace fdllm::jinja
