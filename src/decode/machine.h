#pragma once
#include <memory>
#include <optional>
#include <span>

#include "decode/decoder.h"

namespace fdllm {

/// How a request is decoded step by step; Decoder's functions are these. Each schedule of decoding
/// is one.
class DecodeMachine {
 public:
  virtual ~DecodeMachine() = default;
  virtual std::optional<DecodeStep> next() = 0;
  virtual StepEvent advance(std::span<const Score> scores) = 0;
  virtual const Canvas& canvas() const = 0;
  virtual void finish(FinishReason reason) = 0;
  virtual bool finished() const = 0;
  virtual FinishReason finish_reason() const = 0;
};

/// A canvas of known length whose rows attend each other (LLaDA, Dream).
std::unique_ptr<DecodeMachine> make_canvas_machine(Canvas canvas, DecodeSettings settings,
                                                   const DecodeTraits& traits);
/// Blocks whose rows attend their own and all earlier ones (SDAR, Fast-dLLM v2).
std::unique_ptr<DecodeMachine> make_block_machine(Canvas canvas, DecodeSettings settings,
                                                  const DecodeTraits& traits);

}  // namespace fdllm
