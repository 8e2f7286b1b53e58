#include "engine/live_request.h"

#include <string>
#include <utility>
#include <vector>

#include "base/failure.h"
#include "engine/answer.h"

namespace fdllm {

LiveRequest::LiveRequest(std::size_t given_number, ResolvedRequest resolved,
                         ForwardListener given_listener)
    : number(given_number), request(std::move(resolved)), listener(std::move(given_listener)) {
  result.prompt_ids = request.data().prompt_ids;
}

ForwardSize size_of(std::span<LiveRequest* const> batch) {
  ForwardSize size;
  for (const LiveRequest* live : batch) {
    const auto scored = static_cast<std::int64_t>(live->step->plan.score.size()) * live->canvases();
    size.rows += live->rows();
    size.pairs += live->step->pairs() * live->canvases();
    size.scored_rows += scored;
    size.scored_pairs += scored * live->step->attended_rows;
  }
  return size;
}

void look_for_stop(LiveRequest& live, const StepEvent& event, const TokenBytes& bytes_of) noexcept {
  const std::vector<std::string>& stop = live.request.options().stop;
  if (stop.empty()) return;
  try {
    if (!live.text) {
      const std::int32_t begin = live.decoder->canvas().prompt_length();
      live.text = std::make_unique<AnswerStream>(
          AnswerStream::Settings{begin, live.decoder->canvas().gen_length(), {}, stop, bytes_of});
    }
    live.text->push(event);
    if (live.text->found_stop() && !live.decoder->finished()) {
      live.decoder->finish(FinishReason::kStop);
    }
  } catch (...) {
    live.result.error = current_failure();
  }
}

void read_result(LiveRequest& live, const TokenBytes& bytes_of) noexcept {
  GenerateResult& result = live.result;
  try {
    if (live.decoder && live.request.holes().empty()) {
      read_answer(live.decoder->canvas(), live.request.data().model->traits.end_tokens,
                  live.request.options().stop, bytes_of, result);
    } else if (live.decoder) {
      read_infilled(live.decoder->canvas(), bytes_of, result);
    }
  } catch (...) {
    if (!result.error) result.error = current_failure();
  }
  if (live.ending) result.finish_reason = *live.ending;
  if (result.error) result.finish_reason = FinishReason::kError;
  result.seconds = std::chrono::duration<double>(LiveRequest::Clock::now() - live.arrival).count();
}

}  // namespace fdllm
