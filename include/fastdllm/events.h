#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fastdllm/error.h"

namespace fdllm {

struct TokenEvent {
  std::int32_t position = 0;  ///< canvas position, counted from the prompt's first token
  std::int32_t token = -1;
  double confidence = 0;
};

/// One forward of one request and what it committed.
struct StepEvent {
  std::size_t request = 0;  ///< index into the batch
  std::int32_t step = 0;    ///< 0-based number of this forward within the request
  std::int32_t block = 0;
  std::int32_t query_begin = 0;         ///< the first row that was fed to the model
  std::int32_t query_end = 0;           ///< the one after the last
  std::int32_t query_rows = 0;          ///< how many were: fewer where some between were left out
  std::int32_t attended_rows = 0;       ///< K/V rows that each of them attended
  std::int32_t scored_rows = 0;         ///< rows whose token was asked for: the head ran on these
  std::vector<TokenEvent> committed;    ///< in order of commitment
  std::vector<TokenEvent> provisional;  ///< scored, but left masked
  std::int32_t masked = 0;              ///< masked positions left on the whole canvas
};

enum class FinishReason : std::uint8_t {
  kStop,       ///< an end token or a stop string
  kLength,     ///< the canvas is full
  kCancelled,  ///< the step callback, or the one who asked, said so
  kDeadline,   ///< the time that the request was given is over; without a forward: it never began
  kError,      ///< see GenerateResult::error
};

/// "stop", "length", "cancelled", "deadline", "error": what results in JSON call it.
const char* name_of(FinishReason reason) noexcept;
/// All of them, each at the index of its value.
inline constexpr std::array kFinishReasons = {FinishReason::kStop, FinishReason::kLength,
                                              FinishReason::kCancelled, FinishReason::kDeadline,
                                              FinishReason::kError};

struct GenerateResult {
  std::vector<std::int32_t> prompt_ids;
  /// The canvas after the prompt; positions that were never committed (after an early stop) hold
  /// the mask token. After infilling, the whole canvas.
  std::vector<std::int32_t> output_ids;
  /// output_ids cut before the first end token or stop string; after infilling, all of them.
  std::vector<std::int32_t> ids;
  std::string text;  ///< text of ids without special tokens
  FinishReason finish_reason = FinishReason::kLength;
  std::optional<Failure> error;       ///< why, where finish_reason is kError
  std::int64_t refresh_forwards = 0;  ///< forwards over all attended rows
  std::int64_t window_forwards = 0;   ///< all others
  std::int64_t query_rows = 0;        ///< rows fed to the model, in all forwards together
  std::int64_t scored_rows = 0;       ///< of which the head scored so many
  std::int64_t attention_pairs = 0;   ///< sum over all forwards of query rows x attended rows
  double seconds = 0;                 ///< from generate() (arrival) to this request's last token
};

}  // namespace fdllm
