#pragma once
// One random case of one operation on every instruction set of this machine, for the fuzzer and for
// a test of a fixed number of cases.
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace fdllm::testing {

/// Draws an operation, a weight format, odd shapes and values (NaN, infinities, denormals and huge
/// ones among them) from `bytes`, which may be any, and runs it on every instruction set. Returns
/// what is wrong: a result further from the scalar table's than the rounding of that many terms
/// explains (integer formats: of other bits), a row that depends on the rows beside it, or one that
/// depends on the number of threads.
std::optional<std::string> first_kernel_difference(std::span<const std::uint8_t> bytes);

}  // namespace fdllm::testing
