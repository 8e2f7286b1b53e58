#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm {

/// Half-open byte range of a text.
struct TextSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A regular expression in the common subset of Oniguruma's Ruby syntax (what tokenizer.json files
/// are written for) and PCRE2's (what runs here). Immutable and thread-safe.
///
/// Constructs that both accept but read differently are refused. Character properties are Unicode
/// 14's (PCRE2 10.42). The work on a text is bounded: each start position gets a small number of
/// backtracking steps, and a budget for the whole text pays for those that need more.
class Regex {
 public:
  /// Throws kUnsupported starting with `where` for a pattern outside the subset or malformed.
  Regex(std::string_view pattern, std::string where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// All non-overlapping matches from left to right in `text`, which is valid UTF-8. An empty match
  /// directly after the match before it is skipped. Throws kUnsupported when the budget is spent.
  std::vector<TextSpan> find_all(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A pattern that matches exactly `literal`.
std::string escape_regex(std::string_view literal);

}  // namespace fdllm
