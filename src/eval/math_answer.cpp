#include "eval/math_answer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "eval/answers.h"

namespace fdllm::eval {
namespace {

constexpr std::size_t kLongestAnswer = 4096;  // longer ones are never right, and slow to normalise
constexpr std::string_view kInvalid = "[invalidanswer]";

constexpr std::pair<std::string_view, std::string_view> kSubstitutions[] = {
    {"an ", ""},          {"a ", ""},
    {".$", "$"},          {"\\$", ""},
    {"\\ ", ""},          {" ", ""},
    {"mbox", "text"},     {",\\text{and}", ","},
    {"\\text{and}", ","}, {"\\text{m}", "\\text{}"},
};

// In the order in which they are removed.
constexpr std::string_view kRemoved[] = {
    "square",       "ways",
    "integers",     "dollars",
    "mph",          "inches",
    "ft",           "hours",
    "km",           "units",
    "\\ldots",      "sue",
    "points",       "feet",
    "minutes",      "digits",
    "cents",        "degrees",
    "cm",           "gm",
    "pounds",       "meters",
    "meals",        "edges",
    "students",     "childrentickets",
    "multiples",    "\\text{s}",
    "\\text{.}",    "\\text{\ns}",
    "\\text{}^2",   "\\text{}^3",
    "\\text{\n}",   "\\text{}",
    "\\mathrm{th}", "^\\circ",
    "^{\\circ}",    "\\;",
    ",\\!",         "{,}",
    "\"",           "\\dots",
};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Letters, digits, _ and whatever isn't ASCII.
bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_word_unit(std::string_view removed) {
  return std::all_of(removed.begin(), removed.end(), is_letter);
}

/// Bytes of the character that begins at `at`.
std::size_t character_size(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return end - at;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  std::size_t at = 0;
  for (std::size_t hit = text.find(from); hit != std::string_view::npos;
       hit = text.find(from, at)) {
    result += text.substr(at, hit - at);
    result += to;
    at = hit + from.size();
  }
  return result += text.substr(at);
}

/// Without the word `unit` where it stands alone.
std::string without_word(std::string_view text, std::string_view unit) {
  std::string result;
  std::size_t at = 0;
  for (std::size_t hit = text.find(unit); hit != std::string_view::npos;
       hit = text.find(unit, hit + 1)) {
    const std::size_t end = hit + unit.size();
    const bool begins = hit == 0 || (!is_word(text[hit - 1]) && text[hit - 1] != '\\');
    const bool ends = end == text.size() || !is_word(text[end]);
    if (hit < at || !begins || !ends) continue;
    result += text.substr(at, hit - at);
    at = end;
  }
  return result += text.substr(at);
}

/// Without `unit` anywhere but in the names of TeX commands.
std::string without_unit(std::string_view text, std::string_view unit) {
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t command = at;
    while (command < text.size() &&
           !(text[command] == '\\' && command + 1 < text.size() && is_letter(text[command + 1]))) {
      ++command;
    }
    result += replaced(text.substr(at, command - at), unit, "");
    std::size_t end = std::min(command + 1, text.size());
    while (end < text.size() && is_letter(text[end])) ++end;
    result += text.substr(command, end - command);
    at = end;
  }
  return result;
}

/// Lines with two dollar signs become what stands between the first two, signs included.
std::string only_first_formula(std::string_view text) {
  std::string result;
  while (true) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const std::size_t first = line.find('$');
    const std::size_t second = first == std::string_view::npos ? first : line.find('$', first + 1);
    result += second == std::string_view::npos ? line : line.substr(first, second - first + 1);
    if (end == std::string_view::npos) return result;
    result += '\n';
    text.remove_prefix(end + 1);
  }
}

enum class Brace : std::uint8_t { kFirst, kLast };

/// "\name{x}" becomes "x", up to the first or the last closing brace of the line.
std::string unwrapped(std::string_view text, std::string_view opening, Brace closing) {
  std::string result;
  std::size_t at = 0;
  for (std::size_t hit = text.find(opening); hit != std::string_view::npos;
       hit = text.find(opening, hit)) {
    const std::size_t begin = hit + opening.size();
    const std::string_view line = text.substr(begin, text.substr(begin).find('\n'));
    const std::size_t length = closing == Brace::kFirst ? line.find('}') : line.rfind('}');
    if (length == std::string_view::npos) {
      ++hit;
      continue;
    }
    result += text.substr(at, hit - at);
    result += line.substr(0, length);
    at = hit = begin + length + 1;
  }
  return result += text.substr(at);
}

/// "fracab" becomes "frac{a}{b}".
std::string with_fraction_braces(std::string_view text) {
  constexpr std::string_view kName = "frac";
  std::string result;
  std::size_t at = 0;
  for (std::size_t hit = text.find(kName); hit != std::string_view::npos;
       hit = text.find(kName, hit)) {
    const std::size_t first = hit + kName.size();
    if (first >= text.size() || text[first] == '{') {
      ++hit;
      continue;
    }
    const std::size_t second = first + character_size(text, first);
    if (second >= text.size() || text[second] == '\n') {
      ++hit;
      continue;
    }
    const std::size_t end = second + character_size(text, second);
    result += text.substr(at, first - at);
    result += '{';
    result += text.substr(first, second - first);
    result += "}{";
    result += text.substr(second, end - second);
    result += '}';
    at = hit = end;
  }
  return result += text.substr(at);
}

/// "sqrta" becomes "sqrt{a}", "sqrt[3]a" becomes "sqrt[3]{a}".
std::string with_root_braces(std::string_view text) {
  constexpr std::string_view kName = "sqrt";
  std::string result;
  std::size_t at = 0;
  for (std::size_t hit = text.find(kName); hit != std::string_view::npos;
       hit = text.find(kName, hit)) {
    std::size_t first = hit + kName.size();
    const bool indexed = first < text.size() && text[first] == '[';
    if (indexed) {
      const std::size_t close = text.find(']', first);
      first = close == std::string_view::npos ? text.size() : close + 1;
    }
    const bool bare =
        first < text.size() && text[first] != '{' && (!indexed || is_word(text[first]));
    if (!bare) {
      ++hit;
      continue;
    }
    const std::size_t end = first + character_size(text, first);
    result += text.substr(at, first - at);
    result += '{';
    result += text.substr(first, end - first);
    result += '}';
    at = hit = end;
  }
  return result += text.substr(at);
}

/// Whether the text is a number with a comma before each three digits.
bool has_thousands(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t first = text.find(',');
  if (first == std::string_view::npos || first < 1 || first > 3) return false;
  if ((text.size() - first) % 4 != 0) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool comma = i >= first && (i - first) % 4 == 0;
    if (comma ? text[i] != ',' : !is_digit(text[i])) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> last_boxed(std::string_view solution) {
  constexpr std::string_view kSpaced = "\\boxed ";
  if (const std::size_t spaced = solution.rfind(kSpaced); spaced != std::string_view::npos) {
    const std::string_view rest = solution.substr(spaced + kSpaced.size());
    const std::string_view boxed = rest.substr(0, rest.find('$'));
    return boxed.size() <= kLongestAnswer ? std::optional(std::string(boxed)) : std::nullopt;
  }
  std::size_t begin = solution.rfind("\\boxed");
  if (begin == std::string_view::npos) begin = solution.rfind("\\fbox");
  if (begin == std::string_view::npos) return std::nullopt;
  const std::size_t open = solution.find('{', begin);
  int depth = 0;
  for (std::size_t i = open; i < solution.size(); ++i) {
    if (solution[i] == '{') ++depth;
    if (solution[i] == '}' && --depth == 0) {
      if (i - open > kLongestAnswer) return std::nullopt;
      return std::string(solution.substr(open + 1, i - open - 1));
    }
  }
  return std::nullopt;
}

std::string final_math_answer(std::string_view answer) {
  constexpr std::string_view kBefore = "Final Answer: The final answer is";
  constexpr std::string_view kAfter = " I hope it is correct";
  const std::string text = std::string(answer) + "I hope it is correct.";
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end_of_line = rest.find('\n');
    std::string_view line = rest.substr(0, end_of_line);
    rest.remove_prefix(end_of_line == std::string_view::npos ? rest.size() : end_of_line + 1);
    const std::size_t hit = line.find(kBefore);
    if (hit == std::string_view::npos) continue;
    line.remove_prefix(hit + kBefore.size());
    // One character, whichever, stands before and after the closing words.
    const std::size_t after = line.find(kAfter, 1);
    if (after == std::string_view::npos || after + kAfter.size() >= line.size()) continue;
    std::size_t end = after - 1;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
    return end <= kLongestAnswer ? std::string(trim(line.substr(0, end))) : std::string(kInvalid);
  }
  return std::string(kInvalid);
}

std::string normalized_math_answer(std::string_view answer) {
  std::string text(answer.substr(answer.rfind('=') + 1));
  for (const std::string_view removed : kRemoved) {
    if (is_word_unit(removed)) text = without_word(text, removed);
  }
  for (const auto& [from, to] : kSubstitutions) text = replaced(text, from, to);
  for (const std::string_view removed : kRemoved) {
    text = is_word_unit(removed) ? without_unit(text, removed) : replaced(text, removed, "");
  }
  text = only_first_formula(text);
  text = unwrapped(text, "\\text{", Brace::kFirst);
  text = unwrapped(text, "\\textbf{", Brace::kFirst);
  text = unwrapped(text, "\\overline{", Brace::kFirst);
  text = unwrapped(text, "\\boxed{", Brace::kLast);
  text = with_fraction_braces(text);
  text = with_root_braces(text);
  std::erase(text, '$');
  if (has_thousands(text)) std::erase(text, ',');
  return text;
}

}  // namespace fdllm::eval
