#include "engine/live_request.h"

#include <utility>

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
    size.pairs += live->rows() * live->step->attended_rows;
    size.scored_rows += scored;
    size.scored_pairs += scored * live->step->attended_rows;
  }
  return size;
}

void look_for_stop(LiveRequest& live, const Tokenizer& tokenizer) noexcept {
  try {
    if (!live.decoder->finished() &&
        has_stop_string(live.decoder->canvas(), live.request.options().stop, tokenizer)) {
      live.decoder->finish(FinishReason::kStop);
    }
  } catch (...) {
    live.result.error = current_failure();
  }
}

void read_result(LiveRequest& live, const Tokenizer& tokenizer) noexcept {
  GenerateResult& result = live.result;
  try {
    if (live.decoder && live.request.holes().empty()) {
      read_answer(live.decoder->canvas(), live.request.data().model->traits.end_tokens,
                  live.request.options().stop, tokenizer, result);
    } else if (live.decoder) {
      read_infilled(live.decoder->canvas(), tokenizer, result);
    }
  } catch (...) {
    if (!result.error) result.error = current_failure();
  }
  if (live.ending) result.finish_reason = *live.ending;
  if (result.error) result.finish_reason = FinishReason::kError;
  result.seconds = std::chrono::duration<double>(LiveRequest::Clock::now() - live.arrival).count();
}

}  // namespace fdllm
