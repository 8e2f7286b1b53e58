#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "fastdllm/events.h"

#include "decode/canvas.h"
#include "engine/answer_cut.h"

namespace fdllm {

/// Fills output_ids, ids, text and finish_reason (kStop or kLength) of `result` from the canvas:
/// ids are cut before the first end token, the first position that is still masked, or the first
/// stop string.
void read_answer(const Canvas& canvas, std::span<const std::int32_t> end_tokens,
                 std::span<const std::string> stop, const TokenBytes& bytes_of,
                 GenerateResult& result);

/// The same as read_answer() for a text with holes: all of the canvas.
void read_infilled(const Canvas& canvas, const TokenBytes& bytes_of, GenerateResult& result);

}  // namespace fdllm
