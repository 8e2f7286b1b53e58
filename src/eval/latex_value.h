#pragma once
#include <complex>
#include <optional>
#include <string_view>

namespace fdllm::eval {

/// The value of a formula in TeX: numbers, letters and Greek letters (variables), + - * / ^ _,
/// juxtaposition, \frac, \sqrt, \cdot, \times, \div, \sin and the like, brackets, |x| and n!. Each
/// variable has a value that depends on its name and on `sample`. Nothing where the formula isn't
/// understood, has no value, or is deeper or longer than a person writes.
std::optional<std::complex<double>> latex_value(std::string_view formula, int sample);

/// Whether two normalised answers are the same text, or formulas with the same value whatever
/// their variables are (compared at several points; exact up to rounding).
bool same_math_answer(std::string_view a, std::string_view b);

}  // namespace fdllm::eval
