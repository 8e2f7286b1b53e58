#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace fdllm::eval {

/// What lm-eval's filters give where they find nothing.
inline constexpr std::string_view kNoAnswer = "[invalid]";

std::string_view trim(std::string_view text);

// GSM8K, as lm-eval's task of that name reads answers.

/// The number after the first "#### ", or kNoAnswer.
std::string strict_number(std::string_view text);
/// The last thing that looks like a number (with $, commas and points), or kNoAnswer.
std::string flexible_number(std::string_view text);
/// Whether two answers are equal without commas, dollar signs, everything up to "#### " and a final
/// point, in any case.
bool same_gsm8k_answer(std::string_view answer, std::string_view expected);

// Questions with any answers.

/// What follows the last "####", else the whole text; trimmed.
std::string reference_answer(std::string_view text);
/// What the line says after the last "####": where a number is expected, its first number ("18" of
/// "#### $18 each"), as strict_number() reads it. Without a mark the last number, or where none is
/// expected the last line that isn't blank. Empty where there is nothing.
std::string given_answer(std::string_view text, bool number_expected);
/// A decimal number in its shortest form, or nothing: commas, a leading $ or + and final $, commas
/// and points are dropped, "1,050.50" becomes "1050.5".
std::optional<std::string> canonical_number(std::string_view text);
/// The same text or the same number.
bool same_answer(std::string_view answer, std::string_view expected);

}  // namespace fdllm::eval
