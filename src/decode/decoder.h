#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fastdllm/events.h"

#include "backend/score.h"
#include "decode/canvas.h"
#include "decode/settings.h"
#include "model/forward_plan.h"

namespace fdllm {

class DecodeMachine;

/// One forward that a request wants.
struct DecodeStep {
  /// Rows of the same forward whose K/V are stored, each with what they attend; nothing of them is
  /// scored. A layer stores all rows before any attends.
  std::vector<ForwardPlan> before;
  ForwardPlan plan;
  std::vector<ScoreRequest> scores;  ///< one for each of plan.score
  /// cfg_scale > 0: the same plan is also run on this canvas (the prompt masked) with K/V of its
  /// own, and the head combines the two. Counts as two forwards.
  std::optional<std::vector<std::int32_t>> unconditional_tokens;
  bool refresh = false;            ///< all attended rows are run
  std::int32_t attended_rows = 0;  ///< of plan.attend
  std::int32_t block = 0;

  /// All that are run.
  std::int64_t rows() const;
  /// (row, attended row): what attention costs.
  std::int64_t pairs() const;
};

/// The state machine of one request: next() gives the forward it wants, advance() takes that
/// forward's scores, commits tokens and tells what happened. No loop, no tensors, no clock.
class Decoder {
 public:
  /// `settings` are what the request's options come to with these traits, for this canvas.
  Decoder(Canvas canvas, DecodeSettings settings, const DecodeTraits& traits);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  /// The next forward, or nullopt when the request has ended. Steps whose quota is 0 are passed
  /// over without a forward. Calling it again without advance() gives the same step.
  std::optional<DecodeStep> next();
  /// `scores` as asked for by the last next(). The event's request is 0 and its query rows are
  /// plan.query's (the engine overwrites both with what was really run).
  /// Throws kNumeric where a score is not finite.
  StepEvent advance(std::span<const Score> scores);

  const Canvas& canvas() const;
  /// Ends the request (a stop string was found, or it was cancelled). The reason given last stands,
  /// also where the canvas was already full.
  void finish(FinishReason reason);
  bool finished() const;
  FinishReason finish_reason() const;

 private:
  std::unique_ptr<DecodeMachine> machine_;
};

}  // namespace fdllm
