#pragma once
#include <string>
#include <string_view>

namespace fdllm {

/// A pattern with the same matches that takes time in proportion to the text where the given one
/// takes its square: numbers in groups of three counted from their end, which look ahead to the end
/// of the digits at every group. Any other pattern comes back as it is.
std::string rewrite_for_linear_time(std::string_view pattern);

}  // namespace fdllm
