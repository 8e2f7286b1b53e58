#include "engine/step_loop.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/system_memory.h"
#include "engine/answer.h"
#include "engine/request_canvas.h"

namespace fdllm {
namespace {

using Clock = std::chrono::steady_clock;

/// Plans of no more rows, such as the steps of a block, are never paused.
constexpr std::int64_t kShortRows = 64;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

struct StepLoop::Live {
  std::size_t number;
  GenerateRequest request;
  Clock::time_point arrival;
  std::int64_t max_positions = 0;  ///< of the model
  std::optional<Decoder> decoder;
  std::unique_ptr<KvSlab> kv, unconditional_kv;
  std::optional<DecodeStep> step;  ///< wanted, not yet run
  std::int32_t steps_done = 0;
  GenerateResult result;
  bool in_long_pass = false;           ///< its step is part of the long pass
  std::optional<FinishReason> ending;  ///< it ends before its next step, with this reason
  bool ended = false;
  ForwardListener listener;

  std::int32_t canvas_length() const { return RequestCanvas(request, max_positions).length; }
  std::int64_t canvases() const { return request.options.cfg_scale > 0 ? 2 : 1; }
  std::int64_t canvas_rows() const { return canvases() * canvas_length(); }
  std::int64_t rows() const {
    return static_cast<std::int64_t>(step->plan.query.size()) * canvases();
  }
  bool is_long() const { return rows() > kShortRows; }
};

std::int64_t StepLoop::rows_of(std::span<Live* const> batch) {
  std::int64_t rows = 0;
  for (const Live* live : batch) rows += live->rows();
  return rows;
}

StepLoop::StepLoop(Transformer& transformer, Backend& backend, const Tokenizer& tokenizer,
                   const DecodeTraits& traits, LoopLimits limits)
    : transformer_(transformer),
      backend_(backend),
      tokenizer_(tokenizer),
      traits_(traits),
      limits_(limits),
      progress_(limits.progress_seconds),
      long_progress_(limits.progress_seconds) {}

StepLoop::~StepLoop() = default;

void StepLoop::submit(std::size_t number, const GenerateRequest& request,
                      const ForwardListener& listener) {
  auto live = std::make_unique<Live>();
  live->number = number;
  live->request = request;
  live->listener = listener;
  live->max_positions = transformer_.config().max_positions;
  live->arrival = Clock::now();
  waiting_.push_back(std::move(live));
}

bool StepLoop::step(const Engine::StepCallback& on_step, const ResultCallback& on_result) {
  admit(on_result);
  plan_steps(on_result);
  const auto layers = static_cast<std::int32_t>(transformer_.config().layers);
  Batch batch = gather(long_batch_.empty() ? Take::kAll : Take::kShort);
  if (long_batch_.empty()) {
    Batch long_plans;
    std::copy_if(batch.begin(), batch.end(), std::back_inserter(long_plans),
                 [](const Live* live) { return live->is_long(); });
    if (expected_seconds(rows_of(long_plans), layers) > limits_.slice_seconds) {
      long_batch_ = std::move(long_plans);
      for (Live* live : long_batch_) live->in_long_pass = true;
      guarded(long_batch_, on_result, [&] { start(long_pass_, long_batch_); });
      batch = gather(Take::kShort);
    }
  }
  double seconds = 0;
  if (!batch.empty()) {
    const Clock::time_point begin = Clock::now();
    guarded(batch, on_result, [&] {
      start(pass_, batch);
      run(pass_, batch, layers);
    });
    seconds = seconds_since(begin);
    complete(batch, on_step, on_result);
  }
  if (!long_batch_.empty()) {
    bool complete_now = false;
    guarded(long_batch_, on_result, [&] {
      const double layer = expected_seconds(rows_of(long_batch_), 1);
      const double wanted = std::max(seconds, limits_.slice_seconds) / std::max(layer, 1e-9);
      complete_now = run(long_pass_, long_batch_,
                         static_cast<std::int32_t>(std::clamp(wanted, 1.0, double(layers))));
    });
    if (complete_now) {
      const Batch done = std::exchange(long_batch_, {});
      complete(done, on_step, on_result);
    }
  }
  remove_finished();
  return !live_.empty() || !waiting_.empty();
}

/// Runs `run`; where it fails, so do all requests of the batch, which is then empty.
template <typename Run>
void StepLoop::guarded(Batch& batch, const ResultCallback& on_result, Run&& run) {
  try {
    run();
  } catch (const Error& error) {
    for (Live* live : batch) {
      live->result.error = Failure{error.code(), error.what()};
      finish(*live, on_result);
    }
    batch.clear();
  }
}

void StepLoop::complete(std::span<Live* const> batch, const Engine::StepCallback& on_step,
                        const ResultCallback& on_result) {
  std::size_t offset = 0;
  for (Live* live : batch) {
    live->in_long_pass = false;
    const std::size_t count = live->step->scores.size();
    const auto own = std::span(scores_).subspan(offset, count);
    offset += count;
    try {
      if (!live->ending) advance(*live, own, on_step);
    } catch (const Error& error) {
      live->result.error = Failure{error.code(), error.what()};
    }
    if (live->ending || live->result.error || live->decoder->finished()) {
      finish(*live, on_result);
    }
  }
}

void StepLoop::end(std::size_t number, FinishReason reason, const ResultCallback& on_result) {
  const auto has_number = [&](const std::unique_ptr<Live>& live) {
    return live->number == number && !live->ended;
  };
  const auto queued = std::find_if(waiting_.begin(), waiting_.end(), has_number);
  if (queued != waiting_.end()) {
    (*queued)->ending = reason;
    finish(**queued, on_result);
    waiting_.erase(queued);
    return;
  }
  const auto found = std::find_if(live_.begin(), live_.end(), has_number);
  if (found == live_.end()) return;
  (*found)->ending = reason;
  if ((*found)->in_long_pass) {
    const bool wanted = std::any_of(long_batch_.begin(), long_batch_.end(),
                                    [](const Live* live) { return !live->ending; });
    if (wanted) return;
    for (Live* live : std::exchange(long_batch_, {})) finish(*live, on_result);
  } else {
    finish(**found, on_result);
  }
  remove_finished();
}

/// Rows that a forward may have once `next` is live too.
std::int64_t StepLoop::rows_with(const Live& next) const {
  std::int64_t all = next.canvas_rows();
  std::int64_t longest = all;
  for (const auto& live : live_) {
    all += live->canvas_rows();
    longest = std::max(longest, live->canvas_rows());
  }
  return std::min(all, std::max(longest, limits_.row_budget));
}

void StepLoop::admit(const ResultCallback& on_result) {
  while (!waiting_.empty() && live_.size() < static_cast<std::size_t>(limits_.max_live_requests)) {
    Live& next = *waiting_.front();
    const std::uint64_t kv = backend_.kv_bytes(transformer_.kv_shape(next.canvas_length())) *
                             static_cast<std::uint64_t>(next.canvases());
    const ModelConfig& config = transformer_.config();
    const std::uint64_t buffers = Transformer::buffer_bytes(backend_, config, rows_with(next));
    std::uint64_t available = limits_.memory - std::min(limits_.memory, kv_bytes_);
    if (limits_.memory == 0) {
      available = backend_.available_memory();
      if (available != 0) {  // those that are there already serve the next request too
        available += Transformer::buffer_bytes(backend_, config, transformer_.buffer_rows());
      }
    }
    if (available != 0 && kv + buffers > available) {
      if (!live_.empty()) return;  // wait until a live request gives its K/V back
      next.result.error = Failure{
          ErrorCode::kOutOfMemory,
          fmt::format("out of memory: a canvas of {} tokens needs {} (K/V {}, buffers {}), {} is "
                      "available; shorten the prompt or --gen-length",
                      next.canvas_length(), bytes_text(kv + buffers), bytes_text(kv),
                      bytes_text(buffers), bytes_text(available))};
    }
    live_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    Live& live = *live_.back();
    if (!live.result.error) begin(live);
    if (live.result.error) finish(live, on_result);
  }
}

void StepLoop::begin(Live& live) {
  try {
    const KvShape shape = transformer_.kv_shape(live.canvas_length());
    const RequestCanvas canvas(live.request, live.max_positions);
    live.decoder.emplace(canvas.make(live.request, traits_.mask_token), canvas.options, traits_,
                         canvas.kind);
    live.kv = backend_.allocate_kv(shape);
    kv_bytes_ += live.kv->bytes();
    if (live.canvases() == 2) {
      live.unconditional_kv = backend_.allocate_kv(shape);
      kv_bytes_ += live.unconditional_kv->bytes();
    }
  } catch (const Error& error) {
    live.result.error = Failure{error.code(), error.what()};
  }
}

void StepLoop::plan_steps(const ResultCallback& on_result) {
  for (const auto& entry : live_) {
    Live& live = *entry;
    if (live.ended || live.step) continue;
    live.step = live.decoder->next();
    if (!live.step) {
      finish(live, on_result);
      continue;
    }
    live.step->plan =
        with_shifted_rows(std::move(live.step->plan), transformer_.config().logit_shift);
  }
}

StepLoop::Batch StepLoop::gather(Take take) const {
  Batch batch;
  std::int64_t rows = 0;
  for (const auto& entry : live_) {
    Live& live = *entry;
    if (live.ended || live.in_long_pass || (take == Take::kShort && live.is_long())) continue;
    // A later, smaller plan may pass one that does not fit: the oldest always runs, so none
    // starves.
    if (!batch.empty() && rows + live.rows() > limits_.row_budget) continue;
    rows += live.rows();
    batch.push_back(&live);
  }
  return batch;
}

void StepLoop::start(ForwardPass& pass, std::span<Live* const> batch) {
  std::vector<SequenceInput> inputs;
  for (Live* live : batch) {
    const DecodeStep& step = *live->step;
    SequenceInput input{live->kv.get(), live->decoder->canvas().tokens(), &step.plan, step.scores};
    if (step.unconditional_tokens) {
      input.unconditional = static_cast<std::int32_t>(inputs.size()) + 1;
      inputs.push_back(input);
      inputs.push_back({live->unconditional_kv.get(), *step.unconditional_tokens, &step.plan, {}});
    } else {
      inputs.push_back(input);
    }
  }
  progress_of(pass).start(Clock::now());
  transformer_.start(pass, inputs);
}

bool StepLoop::run_layers(ForwardPass& pass, std::span<Live* const> batch, Range layers) {
  const bool is_told =
      std::any_of(batch.begin(), batch.end(), [](const Live* live) { return live->is_long(); }) &&
      std::any_of(batch.begin(), batch.end(),
                  [](const Live* live) { return live->listener != nullptr; });
  if (!is_told) {
    transformer_.run_layers(pass, layers);
    return true;
  }
  const auto all = static_cast<std::int32_t>(transformer_.config().layers);
  PassProgress& progress = progress_of(pass);
  while (layers.begin < layers.end) {
    const Clock::time_point begin = Clock::now();
    const std::int32_t end =
        std::min(layers.begin + progress.layers_at_once(all - layers.begin), layers.end);
    transformer_.run_layers(pass, {layers.begin, end});
    const Clock::time_point now = Clock::now();
    progress.note(end - layers.begin, std::chrono::duration<double>(now - begin).count());
    layers.begin = end;
    if (!progress.is_due(now, all - end)) continue;
    tell(batch, {.layers_done = end, .layers = all, .seconds = progress.seconds(now)});
    const bool wanted =
        std::any_of(batch.begin(), batch.end(), [](const Live* live) { return !live->ending; });
    if (!wanted) return false;
  }
  return true;
}

void StepLoop::tell(std::span<Live* const> batch, ForwardProgress progress) {
  for (Live* live : batch) {
    if (!live->listener || live->ending) continue;
    progress.request = live->number;
    progress.step = live->steps_done;
    progress.rows = static_cast<std::int32_t>(live->step->plan.query.size());
    if (!live->listener(progress)) live->ending = FinishReason::kCancelled;
  }
}

bool StepLoop::run(ForwardPass& pass, std::span<Live* const> batch, std::int32_t layers) {
  const Clock::time_point begin = Clock::now();
  const auto all = static_cast<std::int32_t>(transformer_.config().layers);
  const std::int32_t first = pass.next_layer();
  const std::int32_t last = std::min(first + layers, all);
  const bool wanted = run_layers(pass, batch, {first, last});
  if (last == all || !wanted) {
    std::size_t count = 0;
    for (const Live* live : batch) count += live->step->scores.size();
    scores_.resize(count);
    if (wanted) transformer_.score(pass, scores_);
  }
  if (!wanted) return true;  // and complete() ends all of them
  const std::int64_t rows = rows_of(batch);
  const double seconds = seconds_since(begin);
  if (rows > kShortRows) row_layer_seconds_ = seconds / (double(rows) * double(last - first));
  if (on_forward_) {
    on_forward_({.rows = rows,
                 .requests = static_cast<std::int32_t>(batch.size()),
                 .layers = last - first,
                 .complete = last == all,
                 .seconds = seconds});
  }
  return last == all;
}

double StepLoop::expected_seconds(std::int64_t rows, std::int32_t layers) const {
  return row_layer_seconds_ * double(rows) * double(layers);
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
  event.query_rows = static_cast<std::int32_t>(live.step->plan.query.size());
  live.result.query_rows += forwards * event.query_rows;
  live.result.scored_rows += event.scored_rows;
  live.result.attention_pairs +=
      forwards * std::int64_t{event.query_rows} * std::int64_t{event.attended_rows};
  live.step.reset();
  if (on_step && !on_step(event)) live.ending = FinishReason::kCancelled;
  if (!live.ending && !live.decoder->finished() &&
      has_stop_string(live.decoder->canvas(), live.request.options.stop, tokenizer_)) {
    live.decoder->finish(FinishReason::kStop);
  }
}

void StepLoop::finish(Live& live, const ResultCallback& on_result) {
  GenerateResult& result = live.result;
  if (live.decoder) {
    if (live.request.holes.empty()) {
      read_answer(live.decoder->canvas(), traits_.end_tokens, live.request.options.stop, tokenizer_,
                  result);
    } else {
      read_infilled(live.decoder->canvas(), tokenizer_, result);
    }
  }
  if (live.ending) result.finish_reason = *live.ending;
  if (result.error) result.finish_reason = FinishReason::kError;
  result.prompt_ids = std::move(live.request.prompt_ids);
  result.seconds = seconds_since(live.arrival);
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
