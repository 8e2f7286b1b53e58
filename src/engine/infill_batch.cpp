#include <algorithm>
#include <utility>

#include "fastdllm/infill.h"

#include "engine/mean_confidence.h"

namespace fdllm {

InfillBatch::InfillBatch(Engine& engine, std::vector<InfillText> texts,
                         const GenerateOptions& options)
    : engine_(engine), texts_(std::move(texts)) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    std::vector<InfillCanvas> canvases = texts_[i].canvases(options);
    texts_[i].require_comparable(canvases);
    for (InfillCanvas& canvas : canvases) {
      canvases_.push_back(std::move(canvas));
      text_of_.push_back(i);
    }
  }
}

std::vector<InfillResult> InfillBatch::generate(const Engine::StepCallback& on_step,
                                                const Engine::ResultCallback& on_result,
                                                const ForwardListener& on_progress) {
  std::vector<ResolvedRequest> requests;
  requests.reserve(canvases_.size());
  for (const InfillCanvas& canvas : canvases_) requests.push_back(canvas.request);
  std::vector<MeanConfidence> means(canvases_.size());
  const std::vector<GenerateResult> results = engine_.generate(
      requests,
      [&](const StepEvent& event) {
        means[event.request].add(event);
        return !on_step || on_step(event);
      },
      on_result, on_progress);
  std::vector<double> confidences;
  for (const MeanConfidence& mean : means) confidences.push_back(mean.logarithm());
  std::vector<InfillResult> texts;
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    texts.push_back(result_of(i, results, confidences));
  }
  return texts;
}

InfillResult InfillBatch::result_of(std::size_t text, std::span<const GenerateResult> results,
                                    std::span<const double> confidences) const {
  InfillResult result;
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < canvases_.size(); ++i) {
    if (text_of_[i] != text) continue;
    const GenerateResult& canvas = results[i];
    ++result.canvases;
    result.refresh_forwards += canvas.refresh_forwards;
    result.window_forwards += canvas.window_forwards;
    result.seconds = std::max(result.seconds, canvas.seconds);
    if (canvas.finish_reason != FinishReason::kLength) {
      result.error = canvas.error.value_or(Failure{ErrorCode::kCancelled, "cancelled"});
    }
    if (!best || confidences[i] > confidences[*best]) best = i;
  }
  if (result.error || !best) return result;
  const InfillCanvas& taken = canvases_[*best];
  result.options = taken.request.options();
  if (taken.request.confidence_is_probability()) result.mean_log_confidence = confidences[*best];
  const std::span<const std::int32_t> ids = results[*best].output_ids;
  const InfillText& source = texts_[text];
  const std::vector<InfillText::Place> places = source.places(taken.lengths);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string part = source.text_of(i, places[i], ids);
    result.text += part;
    if (!source.parts()[i].is_hole()) continue;
    result.holes.push_back({part, {ids.begin() + places[i].begin, ids.begin() + places[i].end}});
  }
  return result;
}

}  // namespace fdllm
