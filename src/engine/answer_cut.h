#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

#include "text/tokenizer.h"

namespace fdllm {

/// The bytes that a token adds to a text: none for special tokens.
using TokenBytes = std::function<std::string(std::int32_t)>;
/// Those of an engine's tokenizer; the engine must outlive it.
TokenBytes token_bytes_of(const Engine& engine);
/// Those of a tokenizer, which must outlive it; without one no token has any. Nor have ids beyond
/// its vocabulary: a head may have more rows.
TokenBytes token_bytes_of(const Tokenizer* tokenizer);

/// What of committed tokens is the answer.
struct AnswerCut {
  std::size_t tokens = 0;  ///< so many of them, those that lie wholly before the cut
  std::string text;        ///< up to the cut, as valid UTF-8
  bool stopped = false;    ///< an end token or a stop string came
  std::string stop;        ///< the stop string, where that came first
};

/// Cuts `ids` before the first end token or stop string. Linear in the text.
AnswerCut cut_answer(std::span<const std::int32_t> ids, std::span<const std::int32_t> end_tokens,
                     std::span<const std::string> stop, const TokenBytes& bytes_of);

/// Where the first of the stop strings begins in `text` from `from` on, or npos.
std::size_t find_stop(std::string_view text, std::span<const std::string> stop,
                      std::size_t from = 0);

/// For each token, how many characters of their common text come before the one that it is in or
/// begins. Invalid bytes count as the U+FFFD that they are shown as.
std::vector<std::size_t> character_offsets(std::span<const std::string> token_bytes);

}  // namespace fdllm
