#include "server/answer_progress.h"

#include <algorithm>

#include "server/engine_text.h"

namespace fdllm::server {

std::string AnswerProgress::push(const StepEvent& event) {
  confidence_.add(event);
  std::string text = new_text(event);
  sent_ += text.size();
  return text;
}

Choice AnswerProgress::finish(const GenerateResult& result) {
  if (result.error) throw to_api_error(*result.error);
  if (result.finish_reason == FinishReason::kCancelled) {
    throw ApiError(503, "The server was stopped before the answer was complete.", "", "cancelled");
  }
  Choice choice;
  choice.index = index_;
  choice.finish_reason = result.finish_reason == FinishReason::kStop ? "stop" : "length";
  if (result.finish_reason == FinishReason::kDeadline) choice.stop_reason = "deadline";
  complete(result, choice);
  return choice;
}

std::string AnswerProgress::rest(const Choice& whole) {
  std::string text = whole.text.substr(std::min(sent_, whole.text.size()));
  sent_ += text.size();
  return text;
}

CanvasStart AnswerProgress::canvas() const {
  CanvasStart canvas;
  canvas.choice = index_;
  canvas.prompt_tokens = answer_begin();
  canvas.gen_length = planned_.request.masks();
  canvas.block_length = planned_.request.options().block_length.value_or(canvas.gen_length);
  return canvas;
}

DenoisingStep AnswerProgress::denoising(const StepEvent& event) const {
  DenoisingStep step;
  step.choice = index_;
  step.step = event.step;
  step.block = event.block;
  step.query = {event.query_begin - answer_begin(), event.query_end - answer_begin()};
  step.committed = tokens_of(event.committed);
  step.provisional = tokens_of(event.provisional);
  step.masked = event.masked;
  return step;
}

std::vector<DenoisedToken> AnswerProgress::tokens_of(const std::vector<TokenEvent>& events) const {
  std::vector<DenoisedToken> tokens;
  tokens.reserve(events.size());
  for (const TokenEvent& token : events) {
    tokens.push_back({token.position - answer_begin(),
                      text_of(engine_, std::span(&token.token, 1), SpecialTokens::kShow),
                      token.confidence});
  }
  return tokens;
}

}  // namespace fdllm::server
