#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "engine/mean_confidence.h"
#include "server/api_types.h"
#include "server/planning.h"

namespace fdllm::server {

/// Follows one answer from its first step to its end.
class AnswerProgress {
 public:
  virtual ~AnswerProgress() = default;
  AnswerProgress(const AnswerProgress&) = delete;
  AnswerProgress& operator=(const AnswerProgress&) = delete;

  /// The text that can be sent after this step; it is never taken back.
  std::string push(const StepEvent& event);
  /// The whole answer. Throws ApiError where there is none.
  Choice finish(const GenerateResult& result);
  /// What of the whole text push() has not returned.
  std::string rest(const Choice& whole);

  /// The canvas before the first step, for a client that draws it.
  virtual CanvasStart canvas() const;
  DenoisingStep denoising(const StepEvent& event) const;
  /// The mean logarithm of the confidences of the tokens that push() was told of.
  double mean_log_confidence() const { return confidence_.logarithm(); }

 protected:
  /// `engine` and `planned` must outlive it.
  AnswerProgress(const Engine& engine, const PlannedAnswer& planned, std::int32_t index)
      : engine_(engine), planned_(planned), index_(index) {}

  const Engine& engine() const { return engine_; }
  const PlannedAnswer& planned() const { return planned_; }
  /// Canvas position from which positions are counted for the client.
  std::int32_t answer_begin() const { return planned_.begin; }

 private:
  virtual std::string new_text(const StepEvent& event) = 0;
  virtual void complete(const GenerateResult& result, Choice& choice) = 0;
  std::vector<DenoisedToken> tokens_of(const std::vector<TokenEvent>& events) const;

  const Engine& engine_;
  const PlannedAnswer& planned_;
  std::int32_t index_;
  std::size_t sent_ = 0;
  MeanConfidence confidence_;
};

/// An answer after a prompt.
std::unique_ptr<AnswerProgress> text_progress(const Engine& engine, const PlannedAnswer& planned,
                                              std::int32_t index, bool logprobs);
/// A text with holes, of which each part is sent when it and all before it are complete.
std::unique_ptr<AnswerProgress> infill_progress(const Engine& engine, const PlannedAnswer& planned,
                                                std::int32_t index);

}  // namespace fdllm::server
