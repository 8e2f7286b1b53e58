#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm {

/// A number that strict JSON cannot write: the `ordinal`-th of all numbers of the text is `value`.
struct SpecialNumber {
  std::size_t ordinal;
  double value;
};

/// A text that Python's json.load reads, as strict JSON of the same length: byte i of one is at
/// the place of byte i of the other.
struct StrictJson {
  std::string_view text;  ///< of `changed`, or the text that was given, where it is strict already
  std::string changed;
  /// Ascending; each is written as 0 in `text`.
  std::vector<SpecialNumber> numbers;
};

/// Rewrites NaN, Infinity, -Infinity and numbers beyond a double's range to 0 (and tells of them),
/// and escaped halves of surrogate pairs to U+FFFD. Does not check the syntax: what is no JSON
/// stays so.
void make_strict(std::string_view text, StrictJson& strict);

}  // namespace fdllm
