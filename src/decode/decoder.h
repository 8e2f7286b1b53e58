#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/events.h"
#include "fastdllm/options.h"

#include "backend/score.h"
#include "decode/canvas.h"
#include "model/forward_plan.h"

namespace fdllm {

/// What decoding must know of a model; filled by the engine from its family's data.
struct DecodeTraits {
  std::int32_t mask_token = -1;
  std::vector<std::int32_t> end_tokens;
  std::vector<std::string> rules;  ///< rules that the family has; the first is the default
  /// Ids of the vocabulary that the tokenizer has no token for (rows that fill up a matrix), which
  /// are never committed. Ascending.
  std::vector<std::int32_t> unused_tokens = {};
};

/// One forward that a request wants.
struct DecodeStep {
  ForwardPlan plan;
  std::vector<ScoreRequest> scores;  ///< one for each of plan.score
  /// cfg_scale > 0: the same plan is also run on this canvas (the prompt masked) with K/V of its
  /// own, and the head combines the two. Counts as two forwards.
  std::optional<std::vector<std::int32_t>> unconditional_tokens;
  bool refresh = false;            ///< all attended rows are run
  std::int32_t attended_rows = 0;  ///< of plan.attend
  std::int32_t block = 0;
};

enum class CanvasKind : std::uint8_t {
  kContinued,  ///< gen_length masks after a prompt
  /// Holes in a text, of which gen_length counts the positions from the first hole to the end of
  /// the canvas. Blocks without holes cost nothing, and no end token ends the request, since text
  /// follows. Dream's unconditional first token of a block (GenerateOptions::correct) is for
  /// continued texts only.
  kInfilled,
};

/// Throws kInvalidArgument naming the option(s) and the conflict. `prompt_length` in tokens.
/// (decode/settings.h gives what the options come to: rule, block length, steps.)
void validate_options(const GenerateOptions& options, const DecodeTraits& traits,
                      std::int32_t prompt_length, CanvasKind kind = CanvasKind::kContinued);

/// The state machine of one request: next() gives the forward it wants, advance() takes that
/// forward's scores, commits tokens and tells what happened. No loop, no tensors, no clock.
class Decoder {
 public:
  /// Validates first.
  Decoder(Canvas canvas, const GenerateOptions& options, const DecodeTraits& traits,
          CanvasKind kind = CanvasKind::kContinued);
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
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fdllm
