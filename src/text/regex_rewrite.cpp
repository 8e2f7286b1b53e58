#include "text/regex_rewrite.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace fdllm {
namespace {

constexpr std::string_view kGroups = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";

/// Where digits begin, as before; after a group everything to the end is whole groups. Giving back
/// groups can't help the look-ahead, since a digit would follow, so they are kept (*+).
constexpr std::string_view kLinearGroups =
    R"((?<!\p{N})\p{N}{1,3}(?=(?:\p{N}{3})*+(?!\p{N}))|(?<=\p{N})\p{N}{3})";

/// Alternatives in use that match no number: beside them each run of digits is matched from its
/// first on, by the groups alone.
constexpr std::array<std::string_view, 12> kWithoutNumbers = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d))",
    R"('(?i:[sdmt]|ll|ve|re))",
    R"('(?:[sdmt]|ll|ve|re))",
    R"([^\r\n\p{L}\p{N}]?\p{L}+)",
    R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)",
    R"( ?\p{L}+)",
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*)",
    R"( ?[^\s\p{L}\p{N}]+)",
    R"(\s*[\r\n]+)",
    R"(\s*[\r\n])",
    R"(\s+(?!\S))",
    R"(\s+)",
};

/// The alternatives of a pattern's outermost level.
std::vector<std::string_view> alternatives(std::string_view pattern) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;
    } else if (in_class) {
      in_class = c != ']';
    } else if (c == '[') {
      in_class = true;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == '|' && depth == 0) {
      parts.push_back(pattern.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(pattern.substr(begin));
  return parts;
}

}  // namespace

std::string rewrite_for_linear_time(std::string_view pattern) {
  const std::vector<std::string_view> parts = alternatives(pattern);
  const auto is_known = [](std::string_view part) {
    return part == kGroups ||
           std::find(kWithoutNumbers.begin(), kWithoutNumbers.end(), part) != kWithoutNumbers.end();
  };
  if (!std::all_of(parts.begin(), parts.end(), is_known)) return std::string(pattern);
  std::string rewritten;
  for (const std::string_view part : parts) {
    if (part.data() != pattern.data()) rewritten += '|';
    rewritten += part == kGroups ? kLinearGroups : part;
  }
  return rewritten;
}

}  // namespace fdllm
