#pragma once
#include <cstdint>
#include <span>

namespace fdllm::cpu {

/// Quantises weights to `quantized` = q of w = scale * q, q in [-127, 127]; returns the scale:
/// largest magnitude / 127. A value that is not finite gives the scale NaN and zeros.
float quantize_weights_int8(std::span<const float> values, std::int8_t* quantized);

/// The same for q in [-8, 7], by the scale of the least squared error among a few: those that put
/// the largest magnitude on -8 (either sign of the scale) or a little beyond the range, each fitted
/// to the numbers that it gives.
float quantize_weights_int4(std::span<const float> values, std::int8_t* quantized);

}  // namespace fdllm::cpu
