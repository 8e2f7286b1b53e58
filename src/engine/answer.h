#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/events.h"

#include "decode/canvas.h"
#include "text/tokenizer.h"

namespace fdllm {

/// Fills output_ids, ids, text and finish_reason (kStop or kLength) of `result` from the canvas:
/// ids are cut before the first end token, the first position that is still masked, or the first
/// stop string.
void read_answer(const Canvas& canvas, std::span<const std::int32_t> end_tokens,
                 std::span<const std::string> stop, const Tokenizer& tokenizer,
                 GenerateResult& result);

/// Whether a stop string is in the text that no mask precedes.
bool has_stop_string(const Canvas& canvas, std::span<const std::string> stop,
                     const Tokenizer& tokenizer);

/// Bytes of `ids` without special tokens. Ids beyond the tokenizer's vocabulary (a head may have
/// more rows) have no text.
std::string answer_bytes(std::span<const std::int32_t> ids, const Tokenizer& tokenizer,
                         bool skip_special = true);

/// The same for a text with holes: all of the canvas.
void read_infilled(const Canvas& canvas, const Tokenizer& tokenizer, GenerateResult& result);

}  // namespace fdllm
