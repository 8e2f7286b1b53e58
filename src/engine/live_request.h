#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "fastdllm/engine.h"

#include "backend/backend.h"
#include "decode/decoder.h"
#include "engine/answer_cut.h"
#include "engine/answer_stream.h"
#include "engine/forward_cost.h"
#include "engine/resolve_request.h"

namespace fdllm {

/// A request of the step loop, from its arrival to its result.
struct LiveRequest {
  using Clock = std::chrono::steady_clock;

  /// Plans of no more rows, such as the steps of a block, are never paused.
  static constexpr std::int64_t kShortRows = 64;

  LiveRequest(std::size_t given_number, ResolvedRequest resolved, ForwardListener given_listener);

  std::size_t number;
  ResolvedRequest request;
  Clock::time_point arrival = Clock::now();
  std::optional<Decoder> decoder;
  std::unique_ptr<KvSlab> kv, unconditional_kv;
  std::uint64_t kv_bytes = 0;      ///< reserved
  std::optional<DecodeStep> step;  ///< wanted, not yet run
  std::int32_t steps_done = 0;
  GenerateResult result;
  bool in_long_pass = false;           ///< its step is part of the long pass
  std::optional<FinishReason> ending;  ///< it ends before its next step, with this reason
  bool ended = false;
  ForwardListener listener;
  std::unique_ptr<AnswerStream> text;  ///< where stop strings are looked for

  std::int32_t canvas_length() const { return request.data().length; }
  std::int64_t canvases() const { return request.data().canvases(); }
  std::int64_t canvas_rows() const { return canvases() * canvas_length(); }
  std::int64_t rows() const { return step->rows() * canvases(); }
  bool is_long() const { return rows() > kShortRows; }
};

/// Of the steps that they want, in one forward.
ForwardSize size_of(std::span<LiveRequest* const> batch);

/// Ends the decoder where a stop string is complete; with an error where looking failed.
/// To be told of every step.
void look_for_stop(LiveRequest& live, const StepEvent& event, const TokenBytes& bytes_of) noexcept;

/// Makes its result of what it has decoded and of how it ended.
void read_result(LiveRequest& live, const TokenBytes& bytes_of) noexcept;

}  // namespace fdllm
