#include "eval/answers.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace fdllm::eval {
namespace {

constexpr std::string_view kMark = "####";
constexpr std::string_view kSpaces = " \t\r\n\f\v";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The length of what `accept` takes from `at` on.
template <typename Accept>
std::size_t run_length(std::string_view text, std::size_t at, const Accept& accept) {
  std::size_t end = at;
  while (end < text.size() && accept(text[end])) ++end;
  return end - at;
}

std::string without(std::string_view text, char dropped) {
  std::string kept(text);
  std::erase(kept, dropped);
  return kept;
}

/// Calls visit(number) for all that looks like a number, in order, until it returns false.
template <typename Visit>
void visit_numbers(std::string_view text, const Visit& visit) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t sign = text[at] == '-' ? 1 : 0;
    std::size_t length = run_length(
        text, at + sign, [](char c) { return is_digit(c) || c == '$' || c == '.' || c == ','; });
    if (length < 2) length = run_length(text, at + sign, is_digit);
    if (length == 0) {
      ++at;
      continue;
    }
    if (!visit(text.substr(at, sign + length))) return;
    at += sign + length;
  }
}

enum class Which : std::uint8_t { kFirst, kLast };

/// The first or the last number in the text; empty where there is none.
std::string_view number_in(std::string_view text, Which which) {
  std::string_view found;
  visit_numbers(text, [&](std::string_view number) {
    if (!canonical_number(number)) return true;
    found = number;
    return which == Which::kLast;
  });
  return found;
}

std::string gsm8k_form(std::string_view text) {
  std::string form = without(without(text, ','), '$');
  constexpr std::string_view kMarkSpace = "#### ";
  const std::size_t mark = form.rfind(kMarkSpace);
  if (mark != std::string::npos) form.erase(0, mark + kMarkSpace.size());
  const bool newline = form.ends_with('\n');
  const std::size_t last = form.size() - (newline ? 1 : 0);
  if (last > 0 && form[last - 1] == '.') form.erase(last - 1, 1);
  std::transform(form.begin(), form.end(), form.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return form;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string strict_number(std::string_view text) {
  constexpr std::string_view kMarkSpace = "#### ";
  for (std::size_t at = text.find(kMarkSpace); at != std::string_view::npos;
       at = text.find(kMarkSpace, at + 1)) {
    const std::size_t begin = at + kMarkSpace.size();
    const std::size_t sign = begin < text.size() && text[begin] == '-' ? 1 : 0;
    const std::size_t length =
        run_length(text, begin + sign, [](char c) { return is_digit(c) || c == '.' || c == ','; });
    if (length > 0) return std::string(text.substr(begin, sign + length));
  }
  return std::string(kNoAnswer);
}

std::string flexible_number(std::string_view text) {
  std::string_view last = kNoAnswer;
  visit_numbers(text, [&](std::string_view number) {
    last = number;
    return true;
  });
  return std::string(last);
}

bool same_gsm8k_answer(std::string_view answer, std::string_view expected) {
  return gsm8k_form(answer) == gsm8k_form(expected);
}

std::string reference_answer(std::string_view text) {
  const std::size_t mark = text.rfind(kMark);
  if (mark != std::string_view::npos) text.remove_prefix(mark + kMark.size());
  return std::string(trim(text));
}

std::string given_answer(std::string_view text, bool number_expected) {
  const std::size_t mark = text.rfind(kMark);
  if (mark != std::string_view::npos) {
    text.remove_prefix(mark + kMark.size());
    text = trim(text.substr(0, text.find('\n')));
    const std::string_view number = number_expected ? number_in(text, Which::kFirst) : "";
    return std::string(number.empty() ? text : number);
  }
  if (number_expected) return std::string(number_in(text, Which::kLast));
  text = trim(text);
  const std::size_t line = text.rfind('\n');
  return std::string(trim(line == std::string_view::npos ? text : text.substr(line + 1)));
}

std::optional<std::string> canonical_number(std::string_view text) {
  text = trim(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('$')) text.remove_prefix(1);
  text = text.substr(0, text.find_last_not_of("$,.") + 1);
  const std::string plain = without(text, ',');
  const std::size_t point = plain.find('.');
  std::string whole = plain.substr(0, point);
  std::string fraction = point == std::string::npos ? "" : plain.substr(point + 1);
  const bool digits = std::all_of(whole.begin(), whole.end(), is_digit) &&
                      std::all_of(fraction.begin(), fraction.end(), is_digit);
  if (!digits || whole.size() + fraction.size() == 0) return std::nullopt;
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (whole.empty()) whole = "0";
  std::string number = fraction.empty() ? whole : whole + "." + fraction;
  return negative && number != "0" ? "-" + number : number;
}

bool same_answer(std::string_view answer, std::string_view expected) {
  if (trim(answer) == trim(expected)) return true;
  const auto number = canonical_number(answer);
  return number && number == canonical_number(expected);
}

}  // namespace fdllm::eval
