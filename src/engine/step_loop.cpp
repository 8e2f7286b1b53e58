#include "engine/step_loop.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/system_memory.h"
#include "engine/answer.h"

namespace fdllm {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct StepLoop::Live {
  std::size_t number;
  GenerateRequest request;
  Clock::time_point arrival;
  std::optional<Decoder> decoder;
  std::unique_ptr<KvSlab> kv, unconditional_kv;
  std::optional<DecodeStep> step;  ///< wanted, not yet run
  std::int32_t steps_done = 0;
  GenerateResult result;
  bool ended = false;

  std::int32_t canvas_length() const {
    return static_cast<std::int32_t>(request.prompt_ids.size()) + request.options.gen_length;
  }
  std::int64_t canvases() const { return request.options.cfg_scale > 0 ? 2 : 1; }
  std::int64_t rows() const {
    return static_cast<std::int64_t>(step->plan.query.size()) * canvases();
  }
};

StepLoop::StepLoop(Transformer& transformer, Backend& backend, const Tokenizer& tokenizer,
                   const DecodeTraits& traits, LoopLimits limits)
    : transformer_(transformer),
      backend_(backend),
      tokenizer_(tokenizer),
      traits_(traits),
      limits_(limits) {}

StepLoop::~StepLoop() = default;

void StepLoop::submit(std::size_t number, const GenerateRequest& request) {
  auto live = std::make_unique<Live>();
  live->number = number;
  live->request = request;
  live->arrival = Clock::now();
  waiting_.push_back(std::move(live));
}

bool StepLoop::step(const Engine::StepCallback& on_step, const ResultCallback& on_result) {
  admit(on_result);
  const std::vector<Live*> batch = gather(on_result);
  if (!batch.empty()) {
    std::vector<Score> scores;
    try {
      run(batch, scores);
    } catch (const Error& error) {
      for (Live* live : batch) {
        live->result.error = error.what();
        finish(*live, on_result);
      }
      remove_finished();
      return !live_.empty() || !waiting_.empty();
    }
    std::size_t offset = 0;
    for (Live* live : batch) {
      const std::size_t count = live->step->scores.size();
      const auto own = std::span(scores).subspan(offset, count);
      offset += count;
      try {
        advance(*live, own, on_step);
      } catch (const Error& error) {
        live->result.error = error.what();
      }
      if (!live->result.error.empty() || live->decoder->finished()) finish(*live, on_result);
    }
  }
  remove_finished();
  return !live_.empty() || !waiting_.empty();
}

void StepLoop::admit(const ResultCallback& on_result) {
  while (!waiting_.empty() && live_.size() < static_cast<std::size_t>(limits_.max_live_requests)) {
    Live& next = *waiting_.front();
    const std::uint64_t kv = backend_.kv_bytes(transformer_.kv_shape(next.canvas_length())) *
                             static_cast<std::uint64_t>(next.canvases());
    const std::uint64_t buffers =
        live_.empty() ? Transformer::buffer_bytes(transformer_.config(), next.canvas_length()) : 0;
    const std::uint64_t available = limits_.memory == 0
                                        ? available_memory()
                                        : limits_.memory - std::min(limits_.memory, kv_bytes_);
    if (available != 0 && kv + buffers > available) {
      if (!live_.empty()) return;  // wait until a live request gives its K/V back
      next.result.error = fmt::format(
          "out of memory: a canvas of {} tokens needs {} (K/V {}, buffers {}), {} is available; "
          "shorten the prompt or --gen-length",
          next.canvas_length(), bytes_text(kv + buffers), bytes_text(kv), bytes_text(buffers),
          bytes_text(available));
    }
    live_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    Live& live = *live_.back();
    if (live.result.error.empty()) begin(live);
    if (!live.result.error.empty()) finish(live, on_result);
  }
}

void StepLoop::begin(Live& live) {
  try {
    const KvShape shape = transformer_.kv_shape(live.canvas_length());
    live.decoder.emplace(
        Canvas(live.request.prompt_ids, live.request.options.gen_length, traits_.mask_token),
        live.request.options, traits_);
    live.kv = backend_.allocate_kv(shape);
    kv_bytes_ += live.kv->bytes();
    if (live.canvases() == 2) {
      live.unconditional_kv = backend_.allocate_kv(shape);
      kv_bytes_ += live.unconditional_kv->bytes();
    }
  } catch (const Error& error) {
    live.result.error = error.what();
  }
}

std::vector<StepLoop::Live*> StepLoop::gather(const ResultCallback& on_result) {
  std::vector<Live*> batch;
  std::int64_t rows = 0;
  for (const auto& entry : live_) {
    Live& live = *entry;
    if (live.ended) continue;
    if (!live.step) {
      live.step = live.decoder->next();
      if (!live.step) {
        finish(live, on_result);
        continue;
      }
      live.step->plan =
          with_shifted_rows(std::move(live.step->plan), transformer_.config().logit_shift);
    }
    // A later, smaller plan may pass one that does not fit: the oldest always runs, so none
    // starves.
    if (!batch.empty() && rows + live.rows() > limits_.row_budget) continue;
    rows += live.rows();
    batch.push_back(&live);
  }
  return batch;
}

void StepLoop::run(std::span<Live* const> batch, std::vector<Score>& scores) {
  std::vector<SequenceInput> inputs;
  std::size_t count = 0;
  for (Live* live : batch) {
    const DecodeStep& step = *live->step;
    SequenceInput input{live->kv.get(), live->decoder->canvas().tokens(), &step.plan, step.scores};
    count += step.scores.size();
    if (step.unconditional_tokens) {
      input.unconditional = static_cast<std::int32_t>(inputs.size()) + 1;
      inputs.push_back(input);
      inputs.push_back({live->unconditional_kv.get(), *step.unconditional_tokens, &step.plan, {}});
    } else {
      inputs.push_back(input);
    }
  }
  scores.resize(count);
  transformer_.forward(pass_, inputs, scores);
}

void StepLoop::advance(Live& live, std::span<const Score> scores,
                       const Engine::StepCallback& on_step) {
  const std::int64_t forwards = live.canvases();
  (live.step->refresh ? live.result.refresh_forwards : live.result.window_forwards) += forwards;
  StepEvent event = live.decoder->advance(scores);
  event.request = live.number;
  event.step = live.steps_done++;
  event.query_begin = live.step->plan.query.front();
  event.query_end = live.step->plan.query.back() + 1;
  live.step.reset();
  if (on_step && !on_step(event)) live.decoder->finish(FinishReason::kCancelled);
  if (!live.decoder->finished() &&
      has_stop_string(live.decoder->canvas(), live.request.options.stop, tokenizer_)) {
    live.decoder->finish(FinishReason::kStop);
  }
}

void StepLoop::finish(Live& live, const ResultCallback& on_result) {
  GenerateResult& result = live.result;
  if (live.decoder) {
    read_answer(live.decoder->canvas(), traits_.end_tokens, live.request.options.stop, tokenizer_,
                result);
    if (live.decoder->finish_reason() == FinishReason::kCancelled) {
      result.finish_reason = FinishReason::kCancelled;
    }
  }
  if (!result.error.empty()) result.finish_reason = FinishReason::kError;
  result.prompt_ids = std::move(live.request.prompt_ids);
  result.seconds = std::chrono::duration<double>(Clock::now() - live.arrival).count();
  for (const auto* slab : {&live.kv, &live.unconditional_kv}) {
    if (*slab) kv_bytes_ -= (*slab)->bytes();
  }
  live.kv.reset();
  live.unconditional_kv.reset();
  live.ended = true;
  on_result(live.number, std::move(result));
}

void StepLoop::remove_finished() {
  live_.remove_if([](const std::unique_ptr<Live>& live) { return live->ended; });
}

}  // namespace fdllm
