#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace fdllm::eval {

/// What stands in the last \boxed (or \fbox) of a solution: "{x}" without its braces, or after
/// "\boxed " what precedes the next dollar sign. Nothing where there is none or it isn't closed.
std::optional<std::string> last_boxed(std::string_view solution);

/// The answer in "Final Answer: The final answer is $4$. I hope it is correct.", trimmed; the
/// closing sentence may be missing at the end of the text. "[invalidanswer]" where there is none.
std::string final_math_answer(std::string_view text);

/// Minerva's normal form of an answer (Lewkowycz et al. 2022, appendix D.1) with lm-eval's later
/// repairs: what follows the last "=", without units, text, dollar signs and spaces, shorthand TeX
/// written out, no commas between groups of thousands.
std::string normalized_math_answer(std::string_view answer);

}  // namespace fdllm::eval
