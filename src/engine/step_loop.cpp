#include "engine/step_loop.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/failure.h"
#include "base/system_memory.h"
#include "engine/live_request.h"

namespace fdllm {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::uint64_t kv_bytes_of(const Backend& backend, const KvShape& shape, std::int64_t canvases) {
  return backend.kv_bytes(shape) * static_cast<std::uint64_t>(canvases);
}

Error does_not_fit(std::int64_t length, const MemoryNeed& need, std::uint64_t available) {
  return {ErrorCode::kOutOfMemory,
          fmt::format("out of memory: a canvas of {} tokens needs {} (K/V {}, buffers {}), {} is "
                      "available; shorten the prompt or gen_length",
                      length, bytes_text(need.total()), bytes_text(need.kv),
                      bytes_text(need.buffers), bytes_text(available))};
}

}  // namespace

StepLoop::StepLoop(Transformer& transformer, Backend& backend, TokenBytes token_bytes,
                   std::shared_ptr<const RequestModel> model, LoopLimits limits)
    : transformer_(transformer),
      backend_(backend),
      token_bytes_(std::move(token_bytes)),
      model_(std::move(model)),
      limits_(limits),
      progress_(limits.progress_seconds),
      long_progress_(limits.progress_seconds),
      cost_(transformer.config()) {}

StepLoop::~StepLoop() {
  for (const auto& live : live_) {
    if (live->kv_bytes > 0) limits_.memory->release(live->kv_bytes, live->steps_done > 0);
  }
}

void StepLoop::require_own(const ResolvedRequest& request) const {
  if (request.data().model == model_) return;
  fail(ErrorCode::kInvalidArgument, "the request was resolved by another engine");
}

void StepLoop::require_fits(const ResolvedRequest& request) const {
  require_own(request);
  const std::int64_t length = request.data().length;
  const std::int64_t canvases = request.data().canvases();
  const MemoryNeed need{
      kv_bytes_of(backend_, transformer_.kv_shape(length), canvases),
      Transformer::buffer_bytes(backend_, transformer_.config(), length * canvases)};
  if (limits_.memory->fits_alone(need)) return;
  throw does_not_fit(length, need, limits_.memory->budget().value_or(0));
}

void StepLoop::submit(std::size_t number, ResolvedRequest request, ForwardListener listener) {
  require_own(request);
  LiveList one;
  one.push_back(std::make_unique<Live>(number, std::move(request), std::move(listener)));
  waiting_.splice(waiting_.end(), one);
}

bool StepLoop::step(const Engine::StepCallback& on_step, const ResultCallback& on_result) {
  admit(on_result);
  plan_steps(on_result);
  divide_batch(on_result);
  double seconds = 0;
  if (!batch_.empty()) {
    const Clock::time_point begin = Clock::now();
    guarded(batch_, on_result, [&] {
      start(pass_, batch_);
      run(pass_, batch_, static_cast<std::int32_t>(transformer_.config().layers));
    });
    seconds = seconds_since(begin);
    complete(batch_, on_step, on_result);
  }
  if (!long_batch_.empty()) run_long_pass(seconds, on_step, on_result);
  remove_finished();
  return !live_.empty() || !waiting_.empty();
}

/// What runs now becomes batch_; what would take longer than a slice becomes the long pass.
void StepLoop::divide_batch(const ResultCallback& on_result) {
  const auto layers = static_cast<std::int32_t>(transformer_.config().layers);
  gather(long_batch_.empty() ? Take::kAll : Take::kShort, batch_);
  if (!long_batch_.empty()) return;
  std::copy_if(batch_.begin(), batch_.end(), std::back_inserter(long_batch_),
               [](const Live* live) { return live->is_long(); });
  if (long_batch_.empty() ||
      cost_.seconds(size_of(long_batch_), {0, layers}) <= limits_.slice_seconds) {
    long_batch_.clear();
    return;
  }
  for (Live* live : long_batch_) live->in_long_pass = true;
  guarded(long_batch_, on_result, [&] { start(long_pass_, long_batch_); });
  gather(Take::kShort, batch_);
}

/// Goes on with the long pass for a slice, or for as long as the short plans took.
void StepLoop::run_long_pass(double seconds, const Engine::StepCallback& on_step,
                             const ResultCallback& on_result) {
  bool is_complete = false;
  guarded(long_batch_, on_result, [&] {
    const std::int32_t layers = cost_.layers_within(size_of(long_batch_), long_pass_.next_layer(),
                                                    std::max(seconds, limits_.slice_seconds));
    is_complete = run(long_pass_, long_batch_, layers);
  });
  if (!is_complete) return;
  done_.swap(long_batch_);
  complete(done_, on_step, on_result);
  done_.clear();
}

/// Runs `run`; where it fails, so do all requests of the batch, which is then empty.
template <typename Run>
void StepLoop::guarded(Batch& batch, const ResultCallback& on_result, Run&& run) {
  try {
    run();
    return;
  } catch (...) {
    for (Live* live : batch) live->result.error = current_failure();
  }
  check_device();
  for (Live* live : batch) finish(*live, on_result);
  batch.clear();
}

/// After a failed forward: tells a device that fails from then on from a request that failed.
void StepLoop::check_device() noexcept {
  try {
    const auto kv = backend_.allocate_kv(transformer_.kv_shape(1));
    const ForwardPlan plan{{0}, {{0, 1}}, {}};
    const SequenceInput input{kv.get(), std::span(&model_->traits.mask_token, 1), &plan, {}};
    ForwardPass pass;
    transformer_.start(pass, std::span(&input, 1));
    transformer_.run_layers(pass, {0, static_cast<std::int32_t>(transformer_.config().layers)});
    device_failed_ = false;
  } catch (...) {
    device_failed_ = current_failure().code != ErrorCode::kOutOfMemory;
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
    if (!live->ending) {
      const std::optional<StepEvent> event = advance(*live, own);
      if (event && on_step && !on_step(*event)) live->ending = FinishReason::kCancelled;
      if (event && !live->ending) look_for_stop(*live, *event, token_bytes_);
    }
    if (live->ending || live->result.error || live->decoder->finished()) finish(*live, on_result);
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
    for (Live* live : long_batch_) finish(*live, on_result);
    long_batch_.clear();
  } else {
    finish(**found, on_result);
  }
  remove_finished();
}

void StepLoop::fail_all(const Failure& failure, const ResultCallback& on_result) {
  long_batch_.clear();
  live_.splice(live_.end(), waiting_);
  for (const auto& live : live_) {
    if (live->ended) continue;
    if (!live->result.error) live->result.error = copy_of(failure);
    finish(*live, on_result);
  }
  remove_finished();
}

/// With the rows that a forward may have once `next` is live too.
MemoryNeed StepLoop::need_of(const Live& next) const {
  std::int64_t all = next.canvas_rows();
  std::int64_t longest = all;
  for (const auto& live : live_) {
    all += live->canvas_rows();
    longest = std::max(longest, live->canvas_rows());
  }
  const std::int64_t rows = std::min(all, std::max(longest, limits_.row_budget));
  return {kv_bytes_of(backend_, transformer_.kv_shape(next.canvas_length()), next.canvases()),
          Transformer::buffer_bytes(backend_, transformer_.config(), rows)};
}

bool StepLoop::make_room(const MemoryNeed& need) {
  if (limits_.memory->fits(need)) return true;
  if (!live_.empty()) return false;  // it waits until a live request gives its K/V back
  // Buffers stay as large as the largest forward so far needed them.
  pass_ = {};
  long_pass_ = {};
  transformer_.release_buffers();
  limits_.memory->set_buffers(0);
  return limits_.memory->fits(need);
}

void StepLoop::admit(const ResultCallback& on_result) {
  while (!waiting_.empty() && live_.size() < max_live()) {
    Live& next = *waiting_.front();
    const MemoryNeed need = need_of(next);
    const bool has_room = make_room(need);
    if (!has_room && !live_.empty()) return;
    live_.splice(live_.end(), waiting_, waiting_.begin());
    try {
      if (!has_room) {
        throw does_not_fit(next.canvas_length(), need, limits_.memory->room().value_or(0));
      }
      begin(next);
    } catch (...) {
      next.result.error = current_failure();
      if (next.result.error->code == ErrorCode::kOutOfMemory && live_.size() > 1) {
        // The account allowed it, the system did not: it waits as if it had not fitted.
        next.result.error.reset();
        next.decoder.reset();
        next.kv.reset();
        next.unconditional_kv.reset();
        waiting_.splice(waiting_.begin(), live_, std::prev(live_.end()));
        return;
      }
      finish(next, on_result);
      remove_finished();
    }
  }
}

void StepLoop::begin(Live& live) {
  for (Batch* batch : {&batch_, &long_batch_, &done_}) batch->reserve(live_.size());
  const KvShape shape = transformer_.kv_shape(live.canvas_length());
  live.decoder.emplace(live.request.data().canvas(), live.request.data().settings, model_->traits);
  live.kv = backend_.allocate_kv(shape);
  if (live.canvases() == 2) live.unconditional_kv = backend_.allocate_kv(shape);
  live.kv_bytes = kv_bytes_of(backend_, shape, live.canvases());
  kv_bytes_ += live.kv_bytes;
  limits_.memory->reserve(live.kv_bytes);
}

void StepLoop::plan_steps(const ResultCallback& on_result) {
  for (const auto& entry : live_) {
    Live& live = *entry;
    if (live.ended || live.step) continue;
    try {
      live.step = live.decoder->next();
      if (live.step) {
        live.step->plan =
            with_shifted_rows(std::move(live.step->plan), transformer_.config().logit_shift);
      }
    } catch (...) {
      live.step.reset();
      live.result.error = current_failure();
    }
    if (!live.step) finish(live, on_result);
  }
}

void StepLoop::gather(Take take, Batch& batch) const {
  batch.clear();
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
}

void StepLoop::start(ForwardPass& pass, std::span<Live* const> batch) {
  std::vector<SequenceInput> inputs;
  for (Live* live : batch) {
    const DecodeStep& step = *live->step;
    SequenceInput input{live->kv.get(), live->decoder->canvas().tokens(), &step.plan, step.scores};
    for (const ForwardPlan& stored : step.before) {
      inputs.push_back({input.kv, input.tokens, &stored, {}});
    }
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
    progress.rows = static_cast<std::int32_t>(live->step->rows());
    if (!live->listener(progress)) live->ending = FinishReason::kCancelled;
  }
}

bool StepLoop::run(ForwardPass& pass, std::span<Live* const> batch, std::int32_t layers) {
  const Clock::time_point begin = Clock::now();
  const auto all = static_cast<std::int32_t>(transformer_.config().layers);
  const Range range{pass.next_layer(), std::min(pass.next_layer() + layers, all)};
  const bool is_complete = range.end == all;
  const bool wanted = run_layers(pass, batch, range);
  if (is_complete || !wanted) {
    std::size_t count = 0;
    for (const Live* live : batch) count += live->step->scores.size();
    scores_.resize(count);
    if (wanted) transformer_.score(pass, scores_);
    device_failed_ = false;
  }
  if (!wanted) return true;  // and complete() ends all of them
  const ForwardSize size = size_of(batch);
  const double seconds = seconds_since(begin);
  if (size.rows > LiveRequest::kShortRows) cost_.observe(size, range, seconds);
  limits_.memory->set_buffers(
      Transformer::buffer_bytes(backend_, transformer_.config(), transformer_.buffer_rows()));
  if (on_forward_) {
    on_forward_({.rows = size.rows,
                 .requests = static_cast<std::int32_t>(batch.size()),
                 .layers = range.size(),
                 .complete = is_complete,
                 .seconds = seconds});
  }
  return is_complete;
}

/// Commits what the scores say; nullopt where that failed.
std::optional<StepEvent> StepLoop::advance(Live& live, std::span<const Score> scores) noexcept {
  try {
    const std::int64_t forwards = live.canvases();
    (live.step->refresh ? live.result.refresh_forwards : live.result.window_forwards) += forwards;
    StepEvent event = live.decoder->advance(scores);
    if (live.steps_done == 0) limits_.memory->touched(live.kv_bytes);
    event.request = live.number;
    event.step = live.steps_done++;
    const ForwardPlan& first = live.step->before.empty() ? live.step->plan : live.step->before[0];
    event.query_begin = first.query.front();
    event.query_end = live.step->plan.query.back() + 1;
    event.query_rows = static_cast<std::int32_t>(live.step->rows());
    live.result.query_rows += forwards * event.query_rows;
    live.result.scored_rows += event.scored_rows;
    live.result.attention_pairs += forwards * live.step->pairs();
    live.step.reset();
    return event;
  } catch (...) {
    live.result.error = current_failure();
    return std::nullopt;
  }
}

void StepLoop::finish(Live& live, const ResultCallback& on_result) {
  read_result(live, token_bytes_);
  live.kv.reset();
  live.unconditional_kv.reset();
  limits_.memory->release(live.kv_bytes, live.steps_done > 0);
  kv_bytes_ -= live.kv_bytes;
  live.kv_bytes = 0;
  live.ended = true;
  on_result(live.number, std::move(live.result));
}

void StepLoop::remove_finished() {
  live_.remove_if([](const std::unique_ptr<Live>& live) { return live->ended; });
}

}  // namespace fdllm
